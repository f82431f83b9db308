# reads output/demo/step1_supernet/model_final.pth, writes output/demo/step2_supernet/model_final.pth
from ..common.data.digits import dataloader
from ..common.models.fpn_small import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train

path_sampler.space = "demo"
model.backbone.bottom_up.space = "demo"
model.backbone.out_channels = 32
model.roi_heads.box_head.conv_dims = [32, 32, 32, 32]
model.roi_heads.box_head.fc_dims = [128]
model.roi_heads.batch_size_per_image = 32
model.roi_heads.num_classes = 5
train.init_checkpoint = "output/demo/step1_supernet/model_final.pth"
train.max_iter = 400
train.device = "cpu"
train.checkpointer.period = 50
