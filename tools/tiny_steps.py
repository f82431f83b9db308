"""All steps of DetNAS on a tiny space and a small digits set: each runs in seconds on one core."""

from __future__ import annotations

from pathlib import Path

from detnas_d2.data import DigitsParameters, write_digits

ROOT = Path(__file__).resolve().parent.parent
DIGITS = DigitsParameters(
    image_size=64,
    classes=(0, 1),
    images=(8, 4, 4),
    digits_per_image=(1, 2),
    digit_size=(24, 32),
    cls_image_size=32,
    cls_images_per_class=(4, 2),
)
# as a user's config of their own: a space with a subset of the choices, small images and heads
SPACE = """from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice
space = L(SearchSpace)(
    name="{name}",
    stem_channels=8,
    stages=[L(Stage)(channels=c, blocks=b) for c, b in ((12, 1), (16, 1), (24, {blocks}), (32, 1))],
    choices=[L(ShuffleChoice)(kernel_size=3), L(ShuffleChoice)(kernel_size=5), L(XceptionChoice)()],
)
"""
STEPS = {
    "space": SPACE.format(name="tiny", blocks=2),
    "other_space": SPACE.format(name="other", blocks=1),
    "step1": """from ..common.data.digits_cls import dataloader
from ..common.models.classifier import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train
from .space import space

model.backbone.space = path_sampler.space = space
model.num_classes = 2
model.last_channels = 16
dataloader.train.mapper.augmentations[0].size = 32
dataloader.test.mapper.augmentations.size = dataloader.test.mapper.augmentations.resize = 32
dataloader.train.total_batch_size = 4
train.device = "cpu"
train.max_iter = 3
train.log_period = 1
train.output_dir = "output/step1"
""",
    "step2": """from ..common.data.detection import dataloader
from ..common.models.fpn_small import model
from ..common.optim import adamw as optimizer
from ..common.paths import path_sampler
from ..common.schedule import short as lr_multiplier
from ..common.train import train
from .space import space

model.backbone.bottom_up.space = path_sampler.space = space
model.backbone.out_channels = 8
model.roi_heads.box_head.conv_dims = [8] * 4
model.roi_heads.box_head.fc_dims = [16]
model.roi_heads.num_classes = 2
model.proposal_generator.post_nms_topk = (50, 20)
dataloader.train.dataset.names = "digits_train"
dataloader.test.dataset.names = "digits_val"
for mapper in (dataloader.train.mapper, dataloader.test.mapper):
    mapper.augmentations[0].short_edge_length = mapper.augmentations[0].max_size = 64
dataloader.train.total_batch_size = 2
dataloader.train.num_workers = dataloader.test.num_workers = 0
train.device = "cpu"
train.max_iter = 8
train.log_period = 1
train.init_checkpoint = "output/step1/model_final.pth"
train.output_dir = "output/step2"
""",
    "step3": """from ..common.search import search
from .step2 import dataloader, model, train

train.init_checkpoint = "output/step2/model_final.pth"
train.output_dir = "output/step3"
search.input_size = (64, 64)
search.flops_limit = 470_000
search.fitness.calibration_batches = 2
search.algorithm.population = 6
search.algorithm.generations = 3
search.algorithm.parents = 3
search.retrain = ["configs/tiny/step4.py"]
""",
    "of_other_space": """from .other_space import space
from .step4 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = space
model.backbone.bottom_up.architecture = [0, 1, 2, 0]
""",
    "step4": """from .step2 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/step3/best_architecture.json"
train.init_checkpoint = "output/step2/model_final.pth"
train.max_iter = 2
train.output_dir = "output/step4"
""",
}


def write_tiny_steps(folder: Path) -> None:
    """Make configs/tiny and datasets/digits in a folder, in which the scripts can then be run."""
    write_digits(folder / "datasets" / "digits", DIGITS)
    tiny = folder / "configs" / "tiny"
    tiny.mkdir(parents=True)
    (tiny.parent / "common").symlink_to(ROOT / "configs" / "common")
    for name, text in STEPS.items():
        (tiny / f"{name}.py").write_text(text)
