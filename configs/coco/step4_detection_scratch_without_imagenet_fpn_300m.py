# reads output/coco/step3_search_scratch_fpn_300m/best_architecture.json, writes output/coco/step4_detection_scratch_without_imagenet_fpn_300m/model_final.pth
# The network of step4_detection_scratch_fpn_300m, trained without ImageNet: twice the iterations.
from ..common.schedule import coco_2x as lr_multiplier
from .step4_detection_scratch_fpn_300m import dataloader, model, optimizer, train

train.init_checkpoint = ""
train.output_dir = "output/coco/step4_detection_scratch_without_imagenet_fpn_300m"
train.max_iter = 180_000
