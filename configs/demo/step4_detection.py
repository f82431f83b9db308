# reads output/demo/step4_classification/model_final.pth and output/demo/step3_search/best_architecture.json, writes output/demo/step4_detection/model_final.pth
from .step2_supernet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/demo/step3_search/best_architecture.json"
train.init_checkpoint = "output/demo/step4_classification/model_final.pth"
train.max_iter = 300
