"""Batch-norm statistics of one path of a supernet (DetNAS section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import get_bn_modules
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..data.seeding import seeded
from ..modeling import find_supernet


@contextmanager
def calibrated(model: nn.Module, batches: Sequence[Any], seed: int) -> Iterator[None]:
    """Within this context `model` is in eval mode, with batch-norm statistics of its own path.

    The running statistics of a trained supernet mix all paths, so a path can't be scored with
    them. Here the mean and variance of every norm on the current path (backbone, FPN, head) are
    collected anew over `batches`: true averages over the whole population, equal to
    those of fvcore's ``update_bn_stats``, forward only, in the mode that training uses. What was
    there before plays no part, so the result does not depend on the paths scored earlier. A
    forward ends with its last norm: what comes behind it (all of a head without norm, say) can
    change no statistic.

    Modes, statistics, momentum and RetinaNet's loss normaliser are restored at the end, also after
    an exception.

    Args:
        model: a detector or classifier, with or without a supernet in it; a supernet has a path.
        batches: the inputs of the training-mode forward; their order counts.
        seed: the detector's own sampling on batch i is drawn from (seed, i).

    Raises:
        ValueError: without batches.
        RuntimeError: a norm runs twice in one forward: its population would mix two inputs.
    """
    if not batches:
        raise ValueError("Batch-norm statistics need at least one batch of training images.")
    modes = [(m, m.training) for m in model.modules()]
    # a moving average that RetinaNet updates in each training-mode forward
    normalizer = getattr(model, "loss_normalizer", None)
    try:
        model.train()
        supernet = find_supernet(model)
        for block in supernet.inactive_blocks() if supernet else ():
            block.eval()
        norms = get_bn_modules(model)  # those in training mode: the ones on the path
        with _restored(norms):
            if norms:
                _collect(model, norms, batches, seed)
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        if normalizer is not None:
            model.loss_normalizer = normalizer


@torch.no_grad()
def _collect(
    model: nn.Module, norms: Sequence[nn.Module], batches: Sequence[Any], seed: int
) -> None:
    """Set the statistics of `norms` to those of the population of all `batches`.

    The arithmetic is that of fvcore's ``_PopulationVarianceEstimator`` (Rethinking "Batch" in
    BatchNorm, appendix), on the channels of all norms at once: norm by norm it took a tenth of
    the time of a small network's forwards.
    """
    mean, var = _shared_buffers(norms)
    mean_of_all, square_of_all = torch.zeros_like(mean), torch.zeros_like(var)
    channels = torch.tensor([n.num_features for n in norms], device=mean.device)
    total = torch.zeros(len(norms), dtype=torch.float64, device=mean.device)
    with EventStorage(), _UpToLastNorm(model, norms) as forward:
        for i, batch in enumerate(batches):
            with seeded(seed, i):
                sizes = torch.tensor(forward(batch), dtype=torch.float64, device=mean.device)
            total += sizes
            # a norm that has not run, as in a branch not taken, has size 0: its share is 0
            share = (sizes / total.clamp(min=1)).float().repeat_interleave(channels)
            biased = ((sizes - 1) / sizes.clamp(min=1)).float().repeat_interleave(channels)
            square = mean.square() + var * biased
            mean_of_all += (mean - mean_of_all) * share
            square_of_all += (square - square_of_all) * share
    mean.copy_(mean_of_all)
    var.copy_(square_of_all - mean_of_all.square())


def _shared_buffers(norms: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make the statistics of all norms parts of one mean and one variance, those of the last batch.

    Returns:
        both, of shape (sum of channels,).
    """
    channels = [n.num_features for n in norms]
    mean = torch.zeros(sum(channels), device=norms[0].running_mean.device)
    var = torch.zeros_like(mean)
    for n, its_mean, its_var in zip(norms, mean.split(channels), var.split(channels), strict=True):
        n.running_mean, n.running_var = its_mean, its_var
        n.momentum = 1.0
    return mean, var


class _BehindLastNorm(Exception):
    """A module is about to run behind the last norm."""


class _UpToLastNorm:
    """Runs `model`, in each forward up to the last of `norms`, and counts what the norms saw.

    Which module follows the last norm is seen in the first forward, which goes to its end. The
    others end where that module would begin, and not in the norm itself: what is around a norm,
    such as Detectron2's CycleBatchNormList, has its own state to bring to its end.
    """

    def __init__(self, model: nn.Module, norms: Sequence[nn.Module]) -> None:
        self._model = model
        self._norms = norms
        self._sizes: dict[nn.Module, int] = {}
        self._following: nn.Module | None = None
        self._runs_of_all = 0
        self._handles: list[Any] = []

    def __enter__(self) -> _UpToLastNorm:
        self._handles = [norm.register_forward_hook(self._count) for norm in self._norms]
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def __call__(self, batch: Any) -> list[int]:
        """
        Returns:
            how many values a channel each norm's input had, in the order of `norms`; 0 where a
            norm has not run.
        """
        self._sizes.clear()
        if not self._runs_of_all:
            self._first(batch)
        else:
            with suppress(_BehindLastNorm):
                self._model(batch)
        return [self._sizes.get(norm, 0) for norm in self._norms]

    def _first(self, batch: Any) -> None:
        watch = register_module_forward_pre_hook(self._see)
        try:
            self._model(batch)
        finally:
            watch.remove()
        self._runs_of_all = len(self._sizes)
        if self._following is not None:
            self._handles.append(self._following.register_forward_pre_hook(self._end))

    def _count(self, norm: nn.Module, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        if norm in self._sizes:
            raise RuntimeError(
                "A batch norm runs twice in one forward; its statistics would mix two inputs. "
                "Give each place its own norm, as CycleBatchNormList does for feature levels."
            )
        self._sizes[norm] = inputs[0].numel() // inputs[0].shape[1]
        self._following = None

    def _see(self, module: nn.Module, _: Any) -> None:
        if self._following is None:
            self._following = module

    def _end(self, *_: Any) -> None:
        if len(self._sizes) == self._runs_of_all:
            raise _BehindLastNorm


@contextmanager
def _restored(norms: list[Any]) -> Iterator[None]:
    """Leave to `norms` only copies of their buffers; restore these and the momentum at the end."""
    saved = [(n.momentum, dict(n.named_buffers())) for n in norms]
    try:
        for n, (_, buffers) in zip(norms, saved, strict=True):
            for name, value in buffers.items():
                setattr(n, name, value.clone())
        yield
    finally:
        for n, (momentum, buffers) in zip(norms, saved, strict=True):
            n.momentum = momentum
            for name, value in buffers.items():
                setattr(n, name, value)
