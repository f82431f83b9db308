# reads output/bccd/step1_supernet/model_final.pth, writes output/bccd/step2_supernet_retinanet/model_final.pth
from ..common.data.bccd_voc import dataloader
from ..common.models.retinanet_small import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train

model.num_classes = 3
train.init_checkpoint = "output/bccd/step1_supernet/model_final.pth"
train.max_iter = 700
train.device = "cpu"
train.checkpointer.period = 100
