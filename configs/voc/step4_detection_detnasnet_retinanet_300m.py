# reads output/imagenet/step4_classification_detnasnet_voc_retinanet_300m/model_final.pth, writes output/voc/step4_detection_detnasnet_retinanet_300m/model_final.pth
from ..common.retrain.voc_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = "1,3,0,0,2,3,3,3,2,3,3,3,3,2,2,0,2,3,1,1"
# P6 from P5, as in the weights that the authors released
model.backbone.top_block.in_feature = "p5"
train.init_checkpoint = (
    "output/imagenet/step4_classification_detnasnet_voc_retinanet_300m/model_final.pth"
)
train.output_dir = "output/voc/step4_detection_detnasnet_retinanet_300m"
