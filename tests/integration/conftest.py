"""The real scripts on a tiny space and a small digits set, with configs written by the tests."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from detectron2.utils.logger import setup_logger

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
search.flops_limit = 470_000
search.calibration_batches = 2
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
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DETECTRON2_DATASETS": str(self / "datasets"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }

    def start(self, script: str, step: str, *arguments: str) -> subprocess.Popen[str]:
        """The script in a process of its own, with its children a process group."""
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *self._config(step), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def call(self, script: str, step: str, *arguments: str) -> tuple[int | str, str]:
        """The real script as __main__ in this process, which saves the seconds of a start.

        Returns:
            what it ended with (a status or an error's message), and what it printed.
        """
        status: int | str | None = 0
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, _one_thread(), _logging_restored():
            patch.chdir(self.folder)
            for name in ("DETECTRON2_DATASETS", "PYTHONPATH"):
                patch.setenv(name, self.environment[name])
            patch.setattr(sys, "argv", [script, *self._config(step), *arguments])
            register_builtin_datasets()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                try:
                    runpy.run_path(str(ROOT / script), run_name="__main__")
                except SystemExit as e:
                    status = e.code
        register_builtin_datasets()
        return status or 0, output.getvalue()

    def _config(self, step: str) -> list[str]:
        return ["--config-file", f"configs/tiny/{step}.py"]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """As OMP_NUM_THREADS=1 in a process of its own: convolutions round alike."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Detectron2's setup_logger adds handlers and stops propagation, which others' caplog needs."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "detnas_d2", "fvcore")]
    saved = [(x, x.handlers[:], x.level, x.propagate) for x in loggers]
    yield
    for logger, handlers, level, propagate in saved:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
    setup_logger.cache_clear()  # it remembers what it has set up


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For tests that call Detectron2's default_setup."""
    with _logging_restored():
        yield


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("workspace")
    write_digits(folder / "datasets" / "digits", DIGITS)
    tiny = folder / "configs" / "tiny"
    tiny.mkdir(parents=True)
    (tiny.parent / "common").symlink_to(ROOT / "configs" / "common")
    for name, text in STEPS.items():
        (tiny / f"{name}.py").write_text(text)
    workspace = Workspace(folder)
    yield workspace
    for process in workspace.started:  # left by a test that failed
        if process.poll() is None:
            process.kill()


@pytest.fixture(scope="session")
def supernet(workspace) -> Path:
    """A detection supernet, trained from a classification supernet by the real script."""
    for step in ("step1", "step2"):
        status, output = workspace.call("train_net.py", step)
        assert status == 0, output
    return workspace / "output/step2/model_final.pth"


@pytest.fixture(scope="session")
def searched(workspace, supernet) -> tuple[Path, str]:
    """The folder of an uninterrupted search of that supernet, and what the script printed."""
    status, output = workspace.call("search_net.py", "step3")
    assert status == 0, output
    return workspace / "output/step3", output
