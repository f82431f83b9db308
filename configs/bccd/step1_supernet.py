# reads nothing, writes output/bccd/step1_supernet/model_final.pth
from ..common.data.bccd_boxes import dataloader
from ..common.models.classifier import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train

model.num_classes = 4
optimizer.lr = 0.01
train.max_iter = 400
train.device = "cpu"
train.checkpointer.period = 100
