# reads nothing, writes output/digits/step2_supernet_scratch_retinanet/model_final.pth
# without step 1, so with the iterations doubled
from .step2_supernet_retinanet import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    path_sampler,
    train,
)

train.init_checkpoint = ""
train.output_dir = "output/digits/step2_supernet_scratch_retinanet"
train.max_iter = 1200
