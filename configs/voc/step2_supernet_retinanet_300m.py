# reads output/imagenet/step1_supernet_300m/model_final.pth, writes output/voc/step2_supernet_retinanet_300m/model_final.pth
from ..common.models.retinanet import model
from ..common.optim import retinanet as optimizer
from ..common.paths import path_sampler
from ..common.schedule import voc_1x as lr_multiplier
from ..common.train import train
from .step2_supernet_fpn_300m import dataloader

model.num_classes = 20
train.init_checkpoint = "output/imagenet/step1_supernet_300m/model_final.pth"
train.max_iter = 22_500
