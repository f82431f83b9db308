# reads nothing, writes output/imagenet/step4_classification_detnasnet_voc_retinanet_300m/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "1,3,0,0,2,3,3,3,2,3,3,3,3,2,2,0,2,3,1,1"
train.output_dir = "output/imagenet/step4_classification_detnasnet_voc_retinanet_300m"
