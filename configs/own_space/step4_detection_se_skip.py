# reads output/own_space/step3_search_se_skip/best_architecture.json, writes output/own_space/step4_detection_se_skip/model_final.pth
from .step2_supernet_se_skip import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = (
    "output/own_space/step3_search_se_skip/best_architecture.json"
)
train.max_iter = 600
