# reads output/coco/step3_search_fpn_3_8g/best_architecture.json, writes output/imagenet/step4_classification_coco_fpn_3_8g/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = "3.8g"
model.backbone.architecture = "output/coco/step3_search_fpn_3_8g/best_architecture.json"
model.last_channels = 1728
train.output_dir = "output/imagenet/step4_classification_coco_fpn_3_8g"
