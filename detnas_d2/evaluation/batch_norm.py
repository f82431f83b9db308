"""Batch-norm statistics of one path of a supernet (Algorithm 2, line 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from detectron2.layers import CycleBatchNormList
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import get_bn_modules
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..data.seeding import seeded
from ..modeling import find_supernet
from ..modeling.errors import ModelError

_ALIGNMENT = 64  # values; kernels may want more than a value's own alignment


@contextmanager
def calibrated(model: nn.Module, batches: Sequence[Any], seed: int) -> Iterator[None]:
    """Within this context `model` is in eval mode, with batch-norm statistics of its own path.

    The running statistics of a trained supernet mix all paths, so a path can't be scored with
    them. Here the mean and variance of every norm on the current path (backbone, FPN, head) are
    collected anew over `batches`: true averages over the whole population, equal to those of
    fvcore's ``update_bn_stats``, forward only, in the mode that training uses. What was there
    before plays no part, so the result does not depend on the paths scored earlier. A forward ends
    with its last norm: what comes behind it (all of a head without norm, say) can change no
    statistic.

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
    with _unmoved(model):
        model.train()
        supernet = find_supernet(model)
        for block in supernet.inactive_blocks() if supernet else ():
            block.eval()
        # those in training mode: the ones on the path
        norms = [n for n in get_bn_modules(model) if n.running_mean is not None]
        with _restored(norms):
            if norms:
                _collect(model, norms, batches, seed)
            model.eval()
            yield


@torch.no_grad()
def _collect(
    model: nn.Module, norms: Sequence[nn.Module], batches: Sequence[Any], seed: int
) -> None:
    """Set the statistics of `norms` to those of the population of all `batches`.

    The arithmetic is that of fvcore's ``_PopulationVarianceEstimator`` (Rethinking "Batch" in
    BatchNorm, appendix), on the channels of all norms at once: norm by norm it took a tenth of
    the time of a small network's forwards.
    """
    mean, var, owner = _shared_buffers(norms)
    mean_of_all, square_of_all = torch.zeros_like(mean), torch.zeros_like(var)
    total = torch.zeros(len(norms), dtype=torch.float64)
    with EventStorage(), _up_to_last_norm(model, norms) as forward:
        for i, batch in enumerate(batches):
            with seeded(seed, i):
                sizes = torch.tensor(forward(batch), dtype=torch.float64)
            total += sizes
            # a norm that has not run, as in a branch not taken, has size 0: its share is 0
            share = (sizes / total.clamp(min=1)).to(mean)[owner]
            biased = ((sizes - 1) / sizes.clamp(min=1)).to(mean)[owner]
            square = mean.square() + var * biased
            mean_of_all += (mean - mean_of_all) * share
            square_of_all += (square - square_of_all) * share
    mean.copy_(mean_of_all)
    var.copy_(square_of_all - mean_of_all.square())


def _shared_buffers(
    norms: Sequence[Any],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the statistics of all norms, those of the last batch, parts of one mean and variance.

    Returns:
        both, and of each of their places which norm it belongs to.
    """
    widths = [-(-n.num_features // _ALIGNMENT) * _ALIGNMENT for n in norms]
    mean = norms[0].running_mean.new_zeros(sum(widths))
    var = torch.zeros_like(mean)
    for n, its_mean, its_var in zip(norms, mean.split(widths), var.split(widths), strict=True):
        n.running_mean, n.running_var = its_mean[: n.num_features], its_var[: n.num_features]
        n.momentum = 1.0
    owner = torch.arange(len(norms)).repeat_interleave(torch.tensor(widths))
    return mean, var, owner.to(mean.device)


class _BehindLastNorm(Exception):
    """A module is about to run behind the last norm."""


@contextmanager
def _up_to_last_norm(
    model: nn.Module, norms: Sequence[nn.Module]
) -> Iterator[Callable[[Any], list[int]]]:
    """Gives a forward of `model` that ends with the last of `norms`.

    It returns how many values a channel each norm's input had; 0 where a norm has not run. Which
    module follows the last norm is seen in a forward that goes to its end, the first in which all
    norms run. Those after it end where that module would begin, and not in the norm itself: what is
    around a norm, such as Detectron2's CycleBatchNormList, has its own state to bring to its end.
    """
    sizes: dict[nn.Module, int] = {}
    following: list[nn.Module] = []
    is_seen = False

    def count(norm: nn.Module, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        if norm in sizes:
            raise ModelError(
                "A batch norm runs twice in one forward; its statistics would mix two inputs. "
                "Give each place its own norm, as CycleBatchNormList does for feature levels."
            )
        sizes[norm] = inputs[0].numel() // inputs[0].shape[1]
        following.clear()

    def end(*_: Any) -> None:
        if len(sizes) == len(norms):
            raise _BehindLastNorm

    def forward(batch: Any) -> list[int]:
        nonlocal is_seen
        sizes.clear()
        if is_seen:
            with suppress(_BehindLastNorm):
                model(batch)
        else:
            following.clear()
            watch = register_module_forward_pre_hook(lambda module, _: following.append(module))
            try:
                model(batch)
            finally:
                watch.remove()
            is_seen = len(sizes) == len(norms)
            if is_seen and following:
                handles.callback(following[0].register_forward_pre_hook(end).remove)
        return [sizes.get(norm, 0) for norm in norms]

    with ExitStack() as handles:
        for norm in norms:
            handles.callback(norm.register_forward_hook(count).remove)
        yield forward


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
