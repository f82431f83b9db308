# reads output/bccd/step3_search_fpn/best_architecture.json, writes output/bccd/step4_classification_fpn/model_final.pth
from .step1_supernet import dataloader, lr_multiplier, model, optimizer, train

model.backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.architecture = "output/bccd/step3_search_fpn/best_architecture.json"
