"""Training of one network on ImageNet (step 4); the file that imports this names its
architecture, and its space where that is not 300m."""

from ..data.classification import dataloader
from ..models.classifier import model
from ..optim import classification as optimizer
from ..schedule import linear as lr_multiplier
from ..train import train

model.backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"
train.max_iter = 300_000
