# reads output/imagenet/step1_supernet_1_3g/model_final.pth, writes output/coco/step2_supernet_fpn_1_3g/model_final.pth
from .step2_supernet_fpn_300m import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    path_sampler,
    train,
)

model.backbone.bottom_up.space = path_sampler.space = "1.3g"
train.init_checkpoint = "output/imagenet/step1_supernet_1_3g/model_final.pth"
