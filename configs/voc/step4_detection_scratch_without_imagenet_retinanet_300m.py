# reads output/voc/step3_search_scratch_retinanet_300m/best_architecture.json, writes output/voc/step4_detection_scratch_without_imagenet_retinanet_300m/model_final.pth
# What step3_search_scratch_retinanet_300m finds, trained without ImageNet: twice the iterations.
from detectron2.config import LazyCall as L

from detnas_d2.modeling import LevelNorm

from ..common.schedule import voc_2x as lr_multiplier
from .step4_detection_retinanet_300m import dataloader, model, optimizer, train

# norm in FPN and head too; in the head each level has its own, as Detectron2's has it
model.backbone.norm = "${.bottom_up.norm}"
model.head.norm = L(LevelNorm)(norm="${...backbone.bottom_up.norm}")
model.backbone.bottom_up.architecture = (
    "output/voc/step3_search_scratch_retinanet_300m/best_architecture.json"
)
train.init_checkpoint = ""
train.max_iter = 45_000
