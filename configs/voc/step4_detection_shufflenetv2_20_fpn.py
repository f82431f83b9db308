# reads output/imagenet/step4_classification_shufflenetv2_20/model_final.pth, writes output/voc/step4_detection_shufflenetv2_20_fpn/model_final.pth
from ..common.retrain.voc_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
train.init_checkpoint = "output/imagenet/step4_classification_shufflenetv2_20/model_final.pth"
train.output_dir = "output/voc/step4_detection_shufflenetv2_20_fpn"
