# reads output/bccd/step4_classification_retinanet/model_final.pth and output/bccd/step3_search_retinanet/best_architecture.json, writes output/bccd/step4_detection_retinanet/model_final.pth
from .step2_supernet_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/bccd/step3_search_retinanet/best_architecture.json"
train.init_checkpoint = "output/bccd/step4_classification_retinanet/model_final.pth"
train.max_iter = 500
