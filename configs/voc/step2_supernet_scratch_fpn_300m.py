# reads nothing, writes output/voc/step2_supernet_scratch_fpn_300m/model_final.pth
# DetNAS-S: no ImageNet, twice the iterations.
from ..common.schedule import voc_2x as lr_multiplier
from .step2_supernet_fpn_300m import dataloader, model, optimizer, path_sampler, train

train.init_checkpoint = ""
train.max_iter = 45_000
