# reads nothing, writes output/digits/step1_supernet/model_final.pth
from ..demo.step1_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

train.output_dir = "output/digits/step1_supernet"
train.max_iter = 400
