# reads nothing, writes output/imagenet/step4_classification_detnasnet_coco_fpn_1_3g/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = "1.3g"
model.backbone.architecture = (
    "0,0,3,1,2,1,0,2,0,3,1,2,3,3,2,0,2,1,1,3,2,0,2,2,2,1,3,1,0,3,3,3,1,3,3,3,3,3,3,3"
)
train.output_dir = "output/imagenet/step4_classification_detnasnet_coco_fpn_1_3g"
