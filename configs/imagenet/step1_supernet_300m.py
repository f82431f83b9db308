# reads nothing, writes output/imagenet/step1_supernet_300m/model_final.pth
from ..common.data.classification import dataloader
from ..common.models.classifier import model
from ..common.optim import classification as optimizer
from ..common.paths import path_sampler_in_bins as path_sampler
from ..common.schedule import linear as lr_multiplier
from ..common.train import train

# less the part on which step3_search_cls_300m measures accuracy
dataloader.train.dataset.names = "imagenet_detnas_supernet"
train.max_iter = 300_000
