# reads nothing, writes output/imagenet/step4_classification_detnasnet_coco_retinanet_300m/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "2,3,1,1,3,2,1,3,3,1,1,1,3,3,2,0,3,3,3,3"
train.output_dir = "output/imagenet/step4_classification_detnasnet_coco_retinanet_300m"
