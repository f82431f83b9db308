# reads nothing, writes output/bccd_small/step1_supernet/model_final.pth
from ..bccd.step1_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

path_sampler.space = "demo"
model.backbone.space = "demo"
model.last_channels = 256
model.dropout = 0.0
optimizer.lr = 0.02
train.max_iter = 300
