"""What happens each iteration: seeding, the path, interruption, checkpoints."""

from __future__ import annotations

import logging
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm

from ..data.seeding import derive_seed
from ..errors import ConfigError
from ..files import TEMPORARY
from ..modeling import require_supernet
from .train_step import PathwiseStep

if TYPE_CHECKING:
    from ..space import PathSampler

logger = logging.getLogger(__name__)

_STEP = 21  # purpose of the derived seeds; those of detnas_d2.data are smaller


class StepSeeding(HookBase):
    """Seed every generator before each step from (seed, iteration, rank).

    So what RPN and ROI sampling, dropout and the like draw from global generators is a function of
    the iteration alone, no random state has to be saved, and a resumed training draws what the
    uninterrupted one did.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def before_step(self) -> None:
        seed = derive_seed(self._seed, _STEP, self.trainer.iter, comm.get_rank())
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)


class PathResampling(HookBase):
    """Set the supernet's path of each iteration (Algorithm 1, lines 4 and 9).

    The path is a function of (seed, iteration), without the rank: all processes take the same
    path without talking to each other. The hook works in any Detectron2 trainer, a plain yacs
    ``DefaultTrainer`` included; with several paths an iteration, in one whose step is a
    ``PathwiseStep``.

    Args:
        sampler: maps a pass to an ``Architecture``.

    Raises:
        ConfigError: (before training starts) if the trainer's model holds no supernet, or one of
            another space than the sampler's; if its step takes one path an iteration.
    """

    def __init__(self, sampler: PathSampler) -> None:
        self._sampler = sampler

    def before_train(self) -> None:
        self._supernet = require_supernet(self.trainer.model, "PathResampling")
        if self._sampler.space != self._supernet.space:
            raise ConfigError(
                f"The path sampler draws from the space {self._sampler.space.name!r}, the supernet "
                f"is of the space {self._supernet.space.name!r}; give both the same space."
            )
        step = getattr(self.trainer, "_trainer", self.trainer)
        if isinstance(step, PathwiseStep):
            step.passes, step.before_pass = self._sampler.passes, self._set_path
        elif self._sampler.passes > 1:
            raise ConfigError(
                f"The path sampler has {self._sampler.passes} paths an iteration; the trainer's "
                f"step ({type(step).__name__}) takes one. Give it a PathwiseStep."
            )

    def before_step(self) -> None:
        self._set_path(0)

    def _set_path(self, number: int) -> None:
        self._supernet.set_path(self._sampler(self.trainer.iter * self._sampler.passes + number))


class LossNormalizer(HookBase):
    """Carry RetinaNet's moving average of positive anchors over a resume, one for all processes.

    Detectron2 keeps it as a plain attribute of the model (``loss_normalizer``), in no state dict
    and of each process its own. Here it is the mean of all processes after each iteration, of
    however many passes. Other models have none, and the hook does nothing.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model

    def after_step(self) -> None:
        value = getattr(self._model, "loss_normalizer", None)
        if value is not None and comm.get_world_size() > 1:
            mean = float(np.mean(comm.all_gather(float(value))))
            self._model.loss_normalizer = mean  # type: ignore[assignment]

    def state_dict(self) -> dict[str, float]:
        value = getattr(self._model, "loss_normalizer", None)
        return {} if value is None else {"loss_normalizer": float(value)}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._model.loss_normalizer = state_dict["loss_normalizer"]  # type: ignore[assignment]


class MetricsWriting(hooks.PeriodicWriter):
    """Detectron2's periodic writer, which after an interruption only closes its writers.

    What it would write then, between two periods, an uninterrupted training does not write.
    """

    def after_train(self) -> None:
        if self.trainer.iter >= self.trainer.max_iter:
            super().after_train()
            return
        for writer in self._writers:
            writer.close()


class Checkpointing(hooks.PeriodicCheckpointer):
    """Detectron2's periodic checkpointer, which also knows the files of the runs before.

    It comes after evaluation and writers, so that a checkpoint never claims an iteration whose
    evaluation or metrics were not written yet: a kill in between repeats them.
    """

    def before_train(self) -> None:
        super().before_train()
        start, folder = self.trainer.start_iter, Path(self.checkpointer.save_dir)
        names = f"{self.file_prefix}_{7 * '[0-9]'}.pth"
        files = {str(f): int(f.stem[-7:]) for f in sorted(folder.glob(names))}
        # Of later iterations than the start, this run writes the files at its period anew. Those
        # between it never writes: GracefulStop saved them, and a kill followed, so last_checkpoint
        # names another, or they are half-written. They are the first to go.
        lost = [f for f, i in files.items() if i >= start and (i + 1) % self.period]
        former = [*lost, *(f for f, i in files.items() if i < start)]
        surplus = former[: -self.max_to_keep] if self.max_to_keep else []
        self.recent_checkpoints = former[len(surplus) :]
        for file in [*map(Path, surplus), *folder.glob(f"{self.file_prefix}_*{TEMPORARY}")]:
            file.unlink()
        final = f"{self.file_prefix}_final"
        last = self.checkpointer.get_checkpoint_file()
        if 0 < start >= self.trainer.max_iter and not last.endswith(f"{final}.pth"):
            # killed before the final one was saved
            self.checkpointer.save(final, iteration=self.trainer.iter)


class GracefulStop(HookBase):
    """On SIGINT or SIGTERM: end the current iteration, save a checkpoint, leave.

    With several processes the signal is agreed on every 20 iterations, so that all of them
    stop after the same one.
    """

    def __init__(self, checkpointer: Any) -> None:
        self._checkpointer = checkpointer
        self._period = 20 if comm.get_world_size() > 1 else 1
        self._process = os.getpid()
        self._signal = 0
        self._former: dict[int, Any] = {}

    def _on_signal(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:
            return  # a forked data worker, which is needed until the iteration is done
        # The second Ctrl-C is for those who can't wait. Other second signals are the same wish
        # again: children of a parent that SIGTERM ended get SIGINT besides.
        if number == self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number
        logger.warning("Stopping after this iteration; once more to stop at once.")

    def before_train(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._former[number] = signal.signal(number, self._on_signal)
            except ValueError:  # not in the main thread: the caller handles signals
                return

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if done % self._period or done >= self.trainer.max_iter:
            return
        received = max(comm.all_gather(self._signal))
        if received:
            self._checkpointer.save(f"model_{self.trainer.iter:07d}")
            comm.synchronize()  # the first process that ends takes the others with it
            logger.warning(f"Stopped after iteration {self.trainer.iter}; go on with --resume.")
            raise SystemExit(128 + received)

    def after_train(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former.clear()
