"""Batch-norm statistics of one path of a supernet (Algorithm 2, line 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.layers import CycleBatchNormList
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import get_bn_modules
from torch import nn

from ..data.seeding import seeded
from ..modeling import find_supernet
from .last_norm import up_to_last_norm

_ALIGNMENT = 64  # values; kernels may want more than a value's own alignment


class BatchStatistics(NamedTuple):
    """What one batch gives of all norms on a path.

    values: (2, places): means, below them variances. sizes: how many values a channel each norm's
    input had; 0 where a norm has not run. widths: how many places each norm has.
    """

    values: np.ndarray
    sizes: tuple[int, ...]
    widths: tuple[int, ...]


@contextmanager
def calibrated(model: nn.Module, batches: Sequence[Any], seed: int) -> Iterator[None]:
    """Within this context `model` is in eval mode, with batch-norm statistics of its own path.

    The running statistics of a trained supernet mix all paths, so a path can't be scored with
    them. Here the mean and variance of every norm on the current path (backbone, FPN, head) are
    collected anew over `batches`: true averages over the whole population, equal to those of
    fvcore's ``update_bn_stats``, forward only, in the mode that training uses. What was there
    before plays no part, so the result does not depend on the paths scored earlier.

    Modes, statistics, momentum and the state of RetinaNet's forward are restored at the end, also
    after an exception.

    Args:
        model: a detector or classifier, with or without a supernet in it; a supernet has a path.
        batches: the inputs of the training-mode forward; their order counts.
        seed: the detector's own sampling on batch i is drawn from (seed, i).

    Raises:
        ValueError: without batches.
        ModelError: a norm runs twice in one forward: its population would mix two inputs.
    """
    if not batches:
        raise ValueError("Batch-norm statistics need at least one batch of training images.")
    collected = collect_statistics(model, enumerate(batches), seed, set())
    with with_statistics(model, merge_statistics(collected)):
        yield


@torch.no_grad()
def collect_statistics(
    model: nn.Module, batches: Iterable[tuple[int, Any]], seed: int, ends: set[nn.Module]
) -> list[BatchStatistics]:
    """The statistics of each batch, none of which depends on another batch.

    A forward ends with its last norm: what comes behind it (all of a head without norm, say) can
    change no statistic.

    Args:
        batches: numbers, from which with `seed` the detector's sampling is drawn, and inputs.
        ends: modules with which a forward may end, see `up_to_last_norm`; new ones are added.
    """
    values, sizes = [], []
    with _path_norms(model) as norms, EventStorage():
        mean_and_var, widths = _shared_buffers(norms)
        with up_to_last_norm(model, norms, ends) as forward:
            for number, batch in batches:
                with seeded(seed, number):
                    sizes.append(tuple(forward(batch)) if norms else ())
                values.append(mean_and_var.clone())
    on_cpu = torch.stack(values).numpy(force=True)
    return [BatchStatistics(*both, widths) for both in zip(on_cpu, sizes, strict=True)]


def merge_statistics(batches: Sequence[BatchStatistics]) -> np.ndarray:
    """Mean and variance of the population of all batches, in the form of BatchStatistics.values.

    The arithmetic is that of fvcore's ``_PopulationVarianceEstimator`` (Rethinking "Batch" in
    BatchNorm, appendix), on the channels of all norms at once. Rounding depends on the order.
    """
    widths, dtype = batches[0].widths, batches[0].values.dtype
    mean_of_all, square_of_all = np.zeros_like(batches[0].values)
    total = np.zeros(len(widths))
    for (mean, var), its_sizes, _ in batches:
        sizes = np.array(its_sizes, dtype=np.float64)
        total += sizes
        # a norm that has not run, as in a branch not taken, has size 0: its share is 0
        share = (sizes / total.clip(min=1)).astype(dtype).repeat(widths)
        biased = ((sizes - 1) / sizes.clip(min=1)).astype(dtype).repeat(widths)
        square = np.square(mean) + var * biased
        mean_of_all += (mean - mean_of_all) * share
        square_of_all += (square - square_of_all) * share
    return np.stack([mean_of_all, square_of_all - np.square(mean_of_all)])


@contextmanager
def with_statistics(model: nn.Module, values: np.ndarray) -> Iterator[None]:
    """Within this context `model` is in eval mode, and the norms on its path have the statistics
    that `merge_statistics` has given for this path."""
    with _path_norms(model) as norms:
        _shared_buffers(norms)[0].copy_(torch.tensor(values))
        model.eval()
        yield


@contextmanager
def _path_norms(model: nn.Module) -> Iterator[list[Any]]:
    """Gives the norms on the path, whose statistics are the caller's within this context; the
    model is in training mode, but for blocks off the path."""
    with _unmoved(model):
        model.train()
        supernet = find_supernet(model)
        for block in supernet.inactive_blocks() if supernet else ():
            block.eval()
        # those in training mode: the ones on the path
        norms = [n for n in get_bn_modules(model) if n.running_mean is not None]
        with _restored(norms):
            yield norms


def _shared_buffers(norms: Sequence[Any]) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Make the statistics of all norms, those of the last batch, parts of one tensor.

    Norm by norm, their arithmetic took a tenth of the time of a small network's forwards.

    Returns:
        it, (2, places), means and variances; how many of its places each norm has.
    """
    widths = [-(-n.num_features // _ALIGNMENT) * _ALIGNMENT for n in norms]
    like = norms[0].running_mean if norms else torch.zeros(0)
    both = like.new_zeros(2, sum(widths))
    for n, its_mean, its_var in zip(norms, *(row.split(widths) for row in both), strict=True):
        n.running_mean, n.running_var = its_mean[: n.num_features], its_var[: n.num_features]
        n.momentum = 1.0
    return both, tuple(widths)


@contextmanager
def _unmoved(model: nn.Module) -> Iterator[None]:
    """Restore the modes, and what a forward of Detectron2's RetinaNet changes besides statistics:
    its moving average of the loss's normaliser, and whose turn it is in norms of several levels.
    """
    modes = [(m, m.training) for m in model.modules()]
    normalizer = vars(model).get("loss_normalizer")
    levels = [(m, m._pos) for m in model.modules() if isinstance(m, CycleBatchNormList)]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for module, position in levels:
            module._pos = position
        if normalizer is not None:
            model.loss_normalizer = normalizer
        else:
            vars(model).pop("loss_normalizer", None)


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
