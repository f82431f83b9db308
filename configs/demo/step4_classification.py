# reads output/demo/step3_search/best_architecture.json, writes output/demo/step4_classification/model_final.pth
from .step1_supernet import dataloader, lr_multiplier, model, optimizer, train

model.backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.architecture = "output/demo/step3_search/best_architecture.json"
train.max_iter = 250
