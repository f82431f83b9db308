# reads output/coco/step3_search_fpn_300m/best_architecture.json, writes output/imagenet/step4_classification_coco_fpn_300m/model_final.pth
from .step1_supernet_300m import dataloader, lr_multiplier, model, optimizer, train

model.backbone._target_ = "detnas_d2.modeling.ShuffleNetV2"
model.backbone.architecture = "output/coco/step3_search_fpn_300m/best_architecture.json"
train.output_dir = "output/imagenet/step4_classification_coco_fpn_300m"
