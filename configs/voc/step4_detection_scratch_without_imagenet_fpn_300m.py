# reads output/voc/step3_search_scratch_fpn_300m/best_architecture.json, writes output/voc/step4_detection_scratch_without_imagenet_fpn_300m/model_final.pth
# What step3_search_scratch_fpn_300m finds, trained without ImageNet: twice the iterations.
from ..common.schedule import voc_2x as lr_multiplier
from .step4_detection_fpn_300m import dataloader, model, optimizer, train

model.backbone.bottom_up.architecture = (
    "output/voc/step3_search_scratch_fpn_300m/best_architecture.json"
)
train.init_checkpoint = ""
train.max_iter = 45_000
