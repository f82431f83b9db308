# reads nothing, writes output/bccd_small/step2_supernet_scratch_fpn/model_final.pth
# without step 1, so with the iterations doubled
from .step2_supernet_fpn import dataloader, lr_multiplier, model, optimizer, path_sampler, train

train.init_checkpoint = ""
train.output_dir = "output/bccd_small/step2_supernet_scratch_fpn"
train.max_iter = 800
