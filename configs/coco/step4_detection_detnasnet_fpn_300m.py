# reads output/imagenet/step4_classification_detnasnet_coco_fpn_300m/model_final.pth, writes output/coco/step4_detection_detnasnet_fpn_300m/model_final.pth
from ..common.retrain.coco_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"
train.init_checkpoint = (
    "output/imagenet/step4_classification_detnasnet_coco_fpn_300m/model_final.pth"
)
train.output_dir = "output/coco/step4_detection_detnasnet_fpn_300m"
