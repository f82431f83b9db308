# reads nothing, writes output/digits/step1_supernet/model_final.pth
from ..demo.step1_supernet import dataloader, lr_multiplier, model, optimizer, path_sampler, train

# 400 iterations of 32 images left the supernet where it began, at the loss of guessing
dataloader.train.total_batch_size = 64
optimizer.lr = 0.03
train.max_iter = 2500
