"""Batch-norm statistics of one path of a supernet (DetNAS section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..data.seeding import seeded
from ..modeling import find_supernet


@contextmanager
def calibrated(model: nn.Module, batches: Sequence[Any], seed: int) -> Iterator[None]:
    """Within this context `model` is in eval mode, with batch-norm statistics of its own path.

    The running statistics of a trained supernet mix all paths, so a path can't be scored with
    them. Here the mean and variance of every norm on the current path (backbone, FPN, head) are
    collected anew over `batches`: true averages over the whole population (fvcore's
    ``update_bn_stats``), forward only, in the mode that training uses. What was there before
    plays no part, so the result does not depend on the paths scored earlier. A forward ends with
    its last norm: what comes behind it (all of a head without norm, say) can change no statistic.

    Modes, statistics, momentum and RetinaNet's loss normaliser are restored at the end, also after
    an exception.

    Args:
        model: a detector or classifier, with or without a supernet in it; a supernet has a path.
        batches: the inputs of the training-mode forward; their order counts.
        seed: the detector's own sampling on batch i is drawn from (seed, i).

    Raises:
        ValueError: without batches.
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
            with EventStorage(), ExitStack() as stack, _UpToLastNorm(model, norms) as forward:
                update_bn_stats(forward, _seeding(batches, seed, stack), len(batches))
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        if normalizer is not None:
            model.loss_normalizer = normalizer


class _BehindLastNorm(Exception):
    """A module is about to run behind the last norm."""


class _UpToLastNorm(nn.Module):
    """`model`, whose forward ends, with no result, when all `norms` have run.

    How often they run in a forward is counted in the first one, which goes to its end. The others
    end where the next module would begin, and not in the norm itself: what is around a norm, such
    as Detectron2's CycleBatchNormList, has its own state to bring to its end.
    """

    def __init__(self, model: nn.Module, norms: Sequence[nn.Module]) -> None:
        super().__init__()
        self.model = model
        self._norms = norms
        self._runs = 0
        self._runs_of_all: int | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> _UpToLastNorm:
        self._handles = [norm.register_forward_hook(self._count) for norm in self._norms]
        self._handles.append(register_module_forward_pre_hook(self._end_behind_last))
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def forward(self, batch: Any) -> None:
        try:
            self.model(batch)
            self._runs_of_all = self._runs
        except _BehindLastNorm:
            pass
        finally:
            self._runs = 0

    def _count(self, *_: Any) -> None:
        self._runs += 1

    def _end_behind_last(self, *_: Any) -> None:
        if self._runs == self._runs_of_all:
            raise _BehindLastNorm


def _seeding(batches: Sequence[Any], seed: int, stack: ExitStack) -> Iterator[Any]:
    """Yield the batches, with the global generators seeded for each until the next."""
    for i, batch in enumerate(batches):
        stack.close()
        stack.enter_context(seeded(seed, i))
        yield batch


@contextmanager
def _restored(norms: list[Any]) -> Iterator[None]:
    """Reset the statistics of `norms`; restore them, momentum and hooks on leaving."""
    saved = [(n.momentum, dict(n.named_buffers()), n._forward_pre_hooks.copy()) for n in norms]
    try:
        for n, (_, buffers, _) in zip(norms, saved, strict=True):
            for name, value in buffers.items():  # work on copies
                setattr(n, name, value.clone())
            n.reset_running_stats()  # 0 times a former infinity would stay NaN
        yield
    finally:
        for n, (momentum, buffers, hooks) in zip(norms, saved, strict=True):
            n.momentum = momentum
            n._forward_pre_hooks = hooks  # update_bn_stats leaves its own where a forward raises
            for name, value in buffers.items():
                setattr(n, name, value)
