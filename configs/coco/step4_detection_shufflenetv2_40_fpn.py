# reads output/imagenet/step4_classification_shufflenetv2_40/model_final.pth, writes output/coco/step4_detection_shufflenetv2_40_fpn/model_final.pth
from ..common.retrain.coco_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = "1.3g"
model.backbone.bottom_up.architecture = (
    "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
)
train.init_checkpoint = "output/imagenet/step4_classification_shufflenetv2_40/model_final.pth"
train.output_dir = "output/coco/step4_detection_shufflenetv2_40_fpn"
