# reads output/imagenet/step4_classification_detnasnet_coco_fpn_1_3g/model_final.pth, writes output/coco/step4_detection_detnasnet_fpn_1_3g/model_final.pth
from ..common.retrain.coco_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = "1.3g"
model.backbone.bottom_up.architecture = (
    "0,0,3,1,2,1,0,2,0,3,1,2,3,3,2,0,2,1,1,3,2,0,2,2,2,1,3,1,0,3,3,3,1,3,3,3,3,3,3,3"
)
train.init_checkpoint = (
    "output/imagenet/step4_classification_detnasnet_coco_fpn_1_3g/model_final.pth"
)
train.output_dir = "output/coco/step4_detection_detnasnet_fpn_1_3g"
