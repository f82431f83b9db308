# reads output/imagenet/step4_classification_coco_fpn_300m/model_final.pth and output/coco/step3_search_fpn_300m/best_architecture.json, writes output/coco/step4_detection_fpn_300m/model_final.pth
from ..common.retrain.coco_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "output/coco/step3_search_fpn_300m/best_architecture.json"
train.init_checkpoint = "output/imagenet/step4_classification_coco_fpn_300m/model_final.pth"
train.output_dir = "output/coco/step4_detection_fpn_300m"
