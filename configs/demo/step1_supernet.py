# reads nothing, writes output/demo/step1_supernet/model_final.pth
from ..common.data.digits_cls import dataloader
from ..common.models.classifier import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train

path_sampler.space = "demo"
model.backbone.space = "demo"
model.num_classes = 5
model.last_channels = 256
model.dropout = 0.0
optimizer.lr = 0.02
train.max_iter = 300
train.device = "cpu"
train.checkpointer.period = 50
