# reads output/digits/step4_classification/model_final.pth and output/digits/step3_search_fpn/best_architecture.json, writes output/digits/step4_detection_fpn/model_final.pth
from .step2_supernet_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/digits/step3_search_fpn/best_architecture.json"
train.init_checkpoint = "output/digits/step4_classification/model_final.pth"
train.max_iter = 400
