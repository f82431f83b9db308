# reads output/imagenet/step4_classification_coco_fpn_1_3g/model_final.pth and output/coco/step3_search_fpn_1_3g/best_architecture.json, writes output/coco/step4_detection_fpn_1_3g/model_final.pth
from ..common.retrain.coco_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = "1.3g"
model.backbone.bottom_up.architecture = "output/coco/step3_search_fpn_1_3g/best_architecture.json"
train.init_checkpoint = "output/imagenet/step4_classification_coco_fpn_1_3g/model_final.pth"
train.output_dir = "output/coco/step4_detection_fpn_1_3g"
