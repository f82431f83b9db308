# reads output/imagenet/step1_supernet_300m/model_final.pth, writes output/voc/step2_supernet_fpn_300m/model_final.pth
from ..common.data.voc import dataloader
from ..common.models.fpn import model
from ..common.optim import detection as optimizer
from ..common.paths import path_sampler
from ..common.schedule import voc_1x as lr_multiplier
from ..common.train import train

# both come out of the two trainvals, the search's 5k images apart; neither sees test2007
dataloader.train.dataset.names = "voc_0712_detnas_supernet"
dataloader.test.dataset.names = "voc_0712_detnas_search"
model.roi_heads.num_classes = 20
train.init_checkpoint = "output/imagenet/step1_supernet_300m/model_final.pth"
train.max_iter = 22_500
