# reads nothing, writes output/imagenet/step4_classification_detnasnet_coco_fpn_300m/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"
train.output_dir = "output/imagenet/step4_classification_detnasnet_coco_fpn_300m"
