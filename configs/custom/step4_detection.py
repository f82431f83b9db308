# reads `weights` of settings.py and output/<name>/step3_search/best_architecture.json, writes output/<name>/step4_detection/model_final.pth
from .detector import (
    _start,
    dataloader,
    datasets,
    iterations,
    lr_multiplier,
    model,
    optimizer,
    output,
    train,
)

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = f"{output}/step3_search/best_architecture.json"
if not _start.is_supernet:  # another network's weights are of no use to the one found
    train.init_checkpoint = ""
    train.init_backbone_only = False
train.output_dir = f"{output}/step4_detection"
