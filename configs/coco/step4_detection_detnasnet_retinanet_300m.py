# reads output/imagenet/step4_classification_detnasnet_coco_retinanet_300m/model_final.pth, writes output/coco/step4_detection_detnasnet_retinanet_300m/model_final.pth
from ..common.retrain.coco_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "2,3,1,1,3,2,1,3,3,1,1,1,3,3,2,0,3,3,3,3"
# P6 from P5, as in the weights that the authors released
model.backbone.top_block.in_feature = "p5"
train.init_checkpoint = (
    "output/imagenet/step4_classification_detnasnet_coco_retinanet_300m/model_final.pth"
)
train.output_dir = "output/coco/step4_detection_detnasnet_retinanet_300m"
