# reads output/digits/step1_supernet/model_final.pth, writes output/digits/step2_supernet_fpn/model_final.pth
from ..demo.step2_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

train.init_checkpoint = "output/digits/step1_supernet/model_final.pth"
train.max_iter = 600
