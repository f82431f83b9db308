# reads nothing, writes output/imagenet/step4_classification_shufflenetv2_40/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = "1.3g"
model.backbone.architecture = (
    "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
)
train.output_dir = "output/imagenet/step4_classification_shufflenetv2_40"
