"""Training of one network on COCO with FPN (step 4); the file that imports this names its
architecture, and its space where that is not 300m."""

from ..data.detection import dataloader
from ..models.fpn import model
from ..optim import detection as optimizer
from ..schedule import coco_1x as lr_multiplier
from ..train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.norm.momentum = 0.01
train.max_iter = 90_000
