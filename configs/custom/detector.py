"""What all steps share: the user's data, the detector with its supernet, and its training.

Faster R-CNN with FPN: on 364 images, from scratch, it reached more than RetinaNet in as many
iterations (projects/DetNAS/README.md, BCCD).
"""

from os.path import dirname as _dirname

from detectron2.config import LazyCall as L

from detnas_d2.data import names_as_text as _names_as_text
from detnas_d2.data import register_coco
from detnas_d2.data.own import own_dataset
from detnas_d2.data.own_settings import own_settings as _own_settings
from detnas_d2.engine import plain_path as _plain_path
from detnas_d2.engine import starting_weights
from projects.DetNAS.paper.halves import halves_space as _halves_space

from ..common.data.detection import dataloader
from ..common.models.fpn import model as _fpn
from ..common.models.fpn_small import model as _fpn_small
from ..common.optim import adamw as _adamw
from ..common.optim import detection as _detection
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train

_own, _row = _own_settings(_dirname(__file__))
_data = own_dataset(_own.annotations, _own.images, _own.name)  # of step 0
_halves = _halves_space("300m")  # of the supernets that DetNAS's authors released
_start = starting_weights(_own.weights, _halves)

output = f"output/{_own.name}"
space = _start.space or _row.space
if space == _halves.name:
    space = L(_halves_space)(space="300m")
iterations = max(_row.least, min(_row.most, _row.epochs * _data.images["train"] // _row.batch))

datasets = {
    part: L(register_coco)(
        name=f"{_own.name}_{part}",
        json_file=file,
        image_root=_plain_path(_data.image_root),
        class_names=_names_as_text(_data.class_names),  # which may be any
    )
    for part, file in _data.files.items()
}
_short_edge = min(_row.short_edge, _data.short_edge)
for _mapper in (dataloader.train.mapper, dataloader.test.mapper):
    _mapper.augmentations[0].short_edge_length = _short_edge
    _mapper.augmentations[0].max_size = round(_short_edge * 5 / 3)
dataloader.train.dataset.names = f"{_own.name}_train"
dataloader.test.dataset.names = f"{_own.name}_val"
dataloader.final_test = f"{_own.name}_test"
dataloader.train.total_batch_size = _row.batch
dataloader.train.num_workers = dataloader.test.num_workers = _row.num_workers

model = {"fpn": _fpn, "fpn_small": _fpn_small}[_row.detector]
model.backbone.bottom_up.space = path_sampler.space = space
model.backbone.norm.name = _row.norm
model.backbone.out_channels = _row.channels
model.roi_heads.box_head.conv_dims = [_row.channels] * 4
model.roi_heads.box_head.fc_dims = [4 * _row.channels]
model.roi_heads.num_classes = len(_data.class_names)

optimizer = {"adamw": _adamw, "detection": _detection}[_row.optimizer]
optimizer.lr = _row.lr_at_16 * _row.batch / 16
train.device = "cuda" if _row.gpus else "cpu"
train.max_iter = iterations if _start.is_supernet else 2 * iterations
train.init_checkpoint = _plain_path(_own.weights)
train.init_backbone_only = bool(_own.weights)
train.checkpointer.period = max(50, train.max_iter // 20)
