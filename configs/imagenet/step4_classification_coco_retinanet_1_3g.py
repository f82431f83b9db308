# reads output/coco/step3_search_retinanet_1_3g/best_architecture.json, writes output/imagenet/step4_classification_coco_retinanet_1_3g/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = "1.3g"
model.backbone.architecture = "output/coco/step3_search_retinanet_1_3g/best_architecture.json"
train.output_dir = "output/imagenet/step4_classification_coco_retinanet_1_3g"
