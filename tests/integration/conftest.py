"""The real scripts on a tiny space and a small digits set, with configs written by the tests."""

from __future__ import annotations

import logging
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from detnas_d2.data import DigitsParameters, register_builtin_datasets, write_digits

ROOT = Path(__file__).resolve().parents[2]
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
search.flops_limit = 560_000
search.calibration_batches = 2
search.algorithm.population = 6
search.algorithm.generations = 3
search.algorithm.parents = 3
search.retrain = ["configs/tiny/step4.py"]
""",
    "step4": """from .step2 import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.ShuffleNetV2"
model.backbone.bottom_up.architecture = "output/step3/best_architecture.json"
train.init_checkpoint = "output/step2/model_final.pth"
train.max_iter = 2
train.output_dir = "output/step4"
""",
}


@dataclass(frozen=True)
class Workspace:
    """A folder with configs/tiny and a data set, in which the scripts are run."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DETECTRON2_DATASETS": str(self.folder / "datasets"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }

    def command(self, script: str, step: str, *arguments: str) -> list[str]:
        config = str(self.folder / "configs" / "tiny" / f"{step}.py")
        return [sys.executable, str(ROOT / script), "--config-file", config, *arguments]

    def start(self, script: str, step: str, *arguments: str) -> subprocess.Popen[str]:
        """The script in a process of its own."""
        return subprocess.Popen(
            self.command(script, step, *arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, step: str, *arguments: str) -> tuple[int, str]:
        """Exit status and output of the script in a process of its own."""
        process = self.start(script, step, *arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("workspace")
    write_digits(folder / "datasets" / "digits", DIGITS)
    tiny = folder / "configs" / "tiny"
    tiny.mkdir(parents=True)
    (tiny.parent / "common").symlink_to(ROOT / "configs" / "common")
    for name, text in STEPS.items():
        (tiny / f"{name}.py").write_text(text)
    return Workspace(folder)


@pytest.fixture
def call(workspace, monkeypatch, capfd):
    """call(script, step, *arguments) -> (exit status or message, output): the real script as
    __main__ in this process, which saves the seconds of a start."""
    monkeypatch.chdir(workspace.folder)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(workspace.folder / "datasets"))
    monkeypatch.setenv("PYTHONPATH", workspace.environment["PYTHONPATH"])
    register_builtin_datasets()

    def run(script: str, step: str, *arguments: str) -> tuple[int | str, str]:
        monkeypatch.setattr(sys, "argv", workspace.command(script, step, *arguments)[1:])
        status: int | str = 0
        capfd.readouterr()
        with _logging_restored():
            try:
                runpy.run_path(str(ROOT / script), run_name="__main__")
            except SystemExit as e:
                status = e.code if e.code is not None else 0
        captured = capfd.readouterr()
        return status, captured.out + captured.err

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run
    torch.set_num_threads(threads)
    monkeypatch.undo()
    register_builtin_datasets()


class _logging_restored:
    """Detectron2's setup_logger adds handlers and stops propagation, which others' caplog needs."""

    names = ("detectron2", "detnas_d2", "fvcore")

    def __enter__(self) -> None:
        loggers = map(logging.getLogger, self.names)
        self.saved = [(x, x.handlers[:], x.level, x.propagate) for x in loggers]

    def __exit__(self, *_: object) -> None:
        from detectron2.utils.logger import setup_logger

        for logger, handlers, level, propagate in self.saved:
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate
        setup_logger.cache_clear()  # it remembers what it has set up
