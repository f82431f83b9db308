# reads output/imagenet/step4_classification_detnasnet_voc_fpn_300m/model_final.pth, writes output/voc/step4_detection_detnasnet_fpn_300m/model_final.pth
from ..common.retrain.voc_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "2,1,0,3,1,3,0,3,2,0,1,1,3,3,3,3,3,3,3,1"
train.init_checkpoint = (
    "output/imagenet/step4_classification_detnasnet_voc_fpn_300m/model_final.pth"
)
train.output_dir = "output/voc/step4_detection_detnasnet_fpn_300m"
