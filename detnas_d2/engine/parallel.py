"""Between processes: gradients averaged while backward makes them, one start for all weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from detectron2.utils import comm
from torch import nn

from ..errors import ConfigError

# 4 MB of float32: what is still to be sent when backward ends is one bucket
BUCKET_ELEMENTS = 2**20


def gradient_group(device: torch.device) -> Any:
    """A group of all processes for the gradients alone; None for a single process.

    Norms that synchronise talk in backward too. In one group their few numbers would wait behind a
    bucket, and a process that sends a bucket later, for it lacks a gradient, would answer a norm
    with a bucket. (On GPUs NCCL asks that two groups are used in the same order by all processes.
    They are, unless a gradient is missing on some; that case was not tried on GPUs.)

    All processes call it, before training: making a group waits for them all, and so does its
    first use.
    """
    if comm.get_world_size() == 1:
        return None
    group: Any = dist.new_group()
    dist.all_reduce(torch.zeros(1, device=device), group=group)
    return group


@contextmanager
def averaged_gradients(parameters: Iterable[nn.Parameter], group: Any) -> Iterator[None]:
    """Average over all processes the gradients of a backward inside, while it makes them.

    The parameters lie in buckets, the last one first, as backward comes to them. A bucket is sent
    as soon as its last gradient is there, and never before the one in front of it: all processes
    send the same buckets in the same order. Those that still lack a gradient when backward is done
    are sent then.

    A parameter that has a gradient on some process only (a head that saw no object elsewhere)
    counts as zero on the others; one that has none anywhere keeps None. Each bucket tells how many
    have each gradient, and only a process that lacks one reads it. So the host waits for the
    device then, and never otherwise.

    Args:
        parameters: those that run, about in the order of the forward, the same on all processes.
        group: as `gradient_group` gives it.

    Raises:
        ConfigError: a gradient came after its bucket was sent.
    """
    if group is None:
        yield
        return
    trainable = [p for p in parameters if p.requires_grad]
    buckets = [_Bucket(part, group) for part in _parts(trainable[::-1])]
    bucket_of = {id(p): bucket for bucket in buckets for p in bucket.parameters}
    waiting = deque(buckets)

    def arrived(p: torch.Tensor) -> None:
        bucket_of[id(p)].arrived(p)
        while waiting and not waiting[0].missing:
            waiting.popleft().send()

    handles = [p.register_post_accumulate_grad_hook(arrived) for p in trainable]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    for bucket in waiting:
        bucket.send()
    for bucket in buckets:
        bucket.receive()


def broadcast_model(model: nn.Module) -> None:
    """Give every process the weights and buffers of the first one."""
    if comm.get_world_size() > 1:
        with torch.no_grad():
            for t in [*model.parameters(), *model.buffers()]:
                dist.broadcast(t, 0)


class _Bucket:
    """Gradients that travel together, and for each a 1 if this process has it, else a 0."""

    def __init__(self, parameters: list[nn.Parameter], group: Any) -> None:
        self.parameters = parameters
        self._group = group
        self.missing = {id(p) for p in parameters}
        self._flat: torch.Tensor | None = None

    def arrived(self, p: torch.Tensor) -> None:
        if self._flat is not None:
            raise ConfigError(
                f"Backward came twice to a parameter of shape {tuple(p.shape)}, after its gradient "
                "had been sent to the other processes. Checkpoint activations with "
                "use_reentrant=False, or train in one process."
            )
        self.missing.discard(id(p))

    def send(self) -> None:
        has = self.parameters[0].new_ones(len(self.parameters))
        gradients = []
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                has[i] = 0
            gradients.append(torch.zeros_like(p) if p.grad is None else p.grad)
        self._flat = torch.cat([*(g.reshape(-1) for g in gradients), has])
        self._work = dist.all_reduce(self._flat, group=self._group, async_op=True)

    def receive(self) -> None:
        self._work.wait()  # on a GPU its stream waits, not the host
        self._flat /= comm.get_world_size()
        sizes = [p.numel() for p in self.parameters]
        *gradients, has = self._flat.split([*sizes, len(sizes)])
        for i, (p, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if p.grad is not None or has[i] > 0:
                p.grad = gradient.view_as(p)


def _parts(tensors: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Lists of tensors of one type, of about BUCKET_ELEMENTS elements each, in order."""
    part: list[nn.Parameter] = []
    size = 0
    for t in tensors:
        if part and (size + t.numel() > BUCKET_ELEMENTS or part[0].dtype != t.dtype):
            yield part
            part, size = [], 0
        part.append(t)
        size += t.numel()
    if part:
        yield part
