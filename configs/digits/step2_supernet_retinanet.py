# reads output/digits/step1_supernet/model_final.pth, writes output/digits/step2_supernet_retinanet/model_final.pth
from ..common.models.retinanet_small import model
from .step2_supernet_fpn import dataloader, lr_multiplier, optimizer, path_sampler, train

model.backbone.bottom_up.space = "demo"
model.backbone.out_channels = 32
model.head.conv_dims = [32, 32]
model.num_classes = 5
