# reads nothing, writes output/imagenet/step4_classification_shufflenetv2_20/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
train.output_dir = "output/imagenet/step4_classification_shufflenetv2_20"
