"""Training of one network on VOC 07+12 with RetinaNet (step 4); the file that imports this names its
architecture, and its space where that is not 300m."""

from ..data.voc import dataloader
from ..models.retinanet import model
from ..optim import retinanet as optimizer
from ..schedule import voc_1x as lr_multiplier
from ..train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.norm.momentum = 0.01
model.num_classes = 20
train.max_iter = 22_500
