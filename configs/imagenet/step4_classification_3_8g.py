# reads output/coco/step3_search_fpn_3_8g/best_architecture.json, writes output/imagenet/step4_classification_3_8g/model_final.pth
# Another network: model.backbone.architecture=… train.output_dir=… (projects/DetNAS/README.md).
from .step4_classification_300m import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = "3.8g"
model.backbone.architecture = "output/coco/step3_search_fpn_3_8g/best_architecture.json"
model.last_channels = 1728
