# reads nothing, writes output/voc/step2_supernet_scratch_retinanet_300m/model_final.pth
# DetNAS-S: no ImageNet, twice the iterations.
from detectron2.config import LazyCall as L

from detnas_d2.modeling import LevelNorm

from ..common.schedule import voc_2x as lr_multiplier
from .step2_supernet_retinanet_300m import dataloader, model, optimizer, path_sampler, train

# norm in FPN and head too; in the head each level has its own, as Detectron2's has it
model.backbone.norm = "${.bottom_up.norm}"
model.head.norm = L(LevelNorm)(norm="${...backbone.bottom_up.norm}")
train.init_checkpoint = ""
train.max_iter = 45_000
