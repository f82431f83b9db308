# reads output/imagenet/step1_supernet_300m/model_final.pth, writes output/coco/step2_supernet_fpn_300m/model_final.pth
from ..common.data.detection import dataloader
from ..common.models.fpn import model
from ..common.optim import detection as optimizer
from ..common.paths import path_sampler
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

# val2017 is the paper's minival, the test set: neither supernet nor search sees it
dataloader.train.dataset.names = "coco_2017_detnas_supernet"
dataloader.test.dataset.names = "coco_2017_detnas_search"
train.init_checkpoint = "output/imagenet/step1_supernet_300m/model_final.pth"
train.max_iter = 90_000
