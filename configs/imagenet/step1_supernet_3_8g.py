# reads nothing, writes output/imagenet/step1_supernet_3_8g/model_final.pth
# Paths are drawn from the whole space: a range of multiply-adds is published for 300M only.
from ..common.paths import path_sampler
from .step1_supernet_300m import dataloader, lr_multiplier, model, optimizer, train

model.backbone.space = path_sampler.space = "3.8g"
model.last_channels = 1728
