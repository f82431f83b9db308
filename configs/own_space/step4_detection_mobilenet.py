# reads output/own_space/step3_search_mobilenet/best_architecture.json, writes output/own_space/step4_detection_mobilenet/model_final.pth
from .step2_supernet_mobilenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = (
    "output/own_space/step3_search_mobilenet/best_architecture.json"
)
train.max_iter = 600
