# reads output/imagenet/step4_classification_coco_fpn_300m/model_final.pth and output/coco/step3_search_fpn_300m/best_architecture.json, writes output/coco/step4_detection_fpn_300m/model_final.pth
from ..common.data.detection import dataloader
from .step2_supernet_fpn_300m import lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.ShuffleNetV2"
model.backbone.bottom_up.architecture = "output/coco/step3_search_fpn_300m/best_architecture.json"
model.backbone.norm.momentum = 0.01
train.init_checkpoint = "output/imagenet/step4_classification_coco_fpn_300m/model_final.pth"
train.output_dir = "output/coco/step4_detection_fpn_300m"
