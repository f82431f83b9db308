# reads nothing, writes output/imagenet/step4_classification_detnasnet_voc_fpn_300m/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "2,1,0,3,1,3,0,3,2,0,1,1,3,3,3,3,3,3,3,1"
train.output_dir = "output/imagenet/step4_classification_detnasnet_voc_fpn_300m"
