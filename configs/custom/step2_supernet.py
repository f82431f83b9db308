# reads `weights` of settings.py, writes output/<name>/step2_supernet/model_final.pth
from .detector import (
    _start,
    dataloader,
    datasets,
    lr_multiplier,
    model,
    optimizer,
    output,
    path_sampler,
    train,
)

train.init_path_only = _start.architecture is not None  # one network's weights: its path
train.output_dir = f"{output}/step2_supernet"
