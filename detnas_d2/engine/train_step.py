"""One optimisation step, in which only the gradients of the active path travel."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from torch import nn

BUCKET_ELEMENTS = 8 * 1024 * 1024


class PathwiseStep(SimpleTrainer):
    """Detectron2's SimpleTrainer with path-wise data parallelism and mixed precision.

    Why not ``DistributedDataParallel``: with ``find_unused_parameters`` it reduces buckets of the
    whole supernet each step, four times what one path needs; it refuses ``device_ids`` on a CPU,
    and Detectron2's ``AMPTrainer`` refuses a CPU altogether. Here gradients are averaged after
    backward, those of the parameters that took part, on any device.

    Gradients of the former path are set to None, not to zero, before backward: SGD then passes
    over them, and neither momentum nor weight decay moves an inactive weight.

    Args:
        model: maps a batch to a dict of scalar losses.
        data_loader: an iterable of batches.
        optimizer: over the model's parameters.
        amp: mixed precision (float16 with loss scaling) on a CUDA device.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable[Any],
        optimizer: torch.optim.Optimizer,
        amp: bool = False,
    ) -> None:
        # Detectron2 0.6 asks for the iterator here already, before the first step is known
        self._batches = _Batches(data_loader)
        super().__init__(model, self._batches, optimizer)
        self.amp = amp
        self.grad_scaler = torch.amp.GradScaler("cuda", enabled=amp)

    def run_step(self) -> None:
        start = time.perf_counter()
        data = next(self._data_loader_iter)
        data_time = time.perf_counter() - start

        with self._same_rounding():
            with torch.autocast("cuda", enabled=self.amp):
                loss_dict = self.model(data)
                losses = sum(loss_dict.values())
            self.optimizer.zero_grad(set_to_none=True)
            self.grad_scaler.scale(losses).backward()
        average_gradients(self.model.parameters())
        self._write_metrics(loss_dict, data_time)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def _same_rounding(self) -> AbstractContextManager[Any]:
        """On a CPU, hold back TorchScript's optimiser.

        It rewrites a scripted function (RetinaNet's focal loss) after a process's first calls of
        it, and what it makes of it rounds otherwise: a resumed training would not be bit-identical.
        """
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        return torch.jit.optimized_execution(False) if on_cpu else nullcontext()

    def close(self) -> None:
        """End the data workers; left to the garbage collector, each takes torch 5 seconds."""
        self._batches.close()


class _Batches(Iterator[Any]):
    """Starts `data_loader` (and its workers) when the first batch is wanted."""

    def __init__(self, data_loader: Iterable[Any]) -> None:
        self._data_loader = data_loader
        self._iterator: Iterator[Any] | None = None

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._data_loader)
        return next(self._iterator)

    def close(self) -> None:
        self._iterator = None


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients over all processes, as DistributedDataParallel would.

    A parameter that has a gradient on some rank only (a head that saw no object elsewhere)
    counts as zero on the others; one that has none anywhere keeps None.
    """
    world_size = comm.get_world_size()
    if world_size == 1:
        return
    trainable = [p for p in parameters if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trainable], dtype=torch.uint8)
    used = used.to(trainable[0].device)
    dist.all_reduce(used, op=dist.ReduceOp.MAX)
    gradients = []
    for p, is_used in zip(trainable, used.tolist(), strict=True):
        if is_used:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
            gradients.append(p.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([g.reshape(-1) for g in bucket])
        dist.all_reduce(flat)
        flat /= world_size
        for g, part in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            g.copy_(part.view_as(g))


def broadcast_model(model: nn.Module) -> None:
    """Give every process the weights and buffers of the first one."""
    if comm.get_world_size() > 1:
        with torch.no_grad():
            for t in [*model.parameters(), *model.buffers()]:
                dist.broadcast(t, 0)


def _buckets(tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Lists of tensors of one type, of about BUCKET_ELEMENTS elements each, in order."""
    bucket: list[torch.Tensor] = []
    size = 0
    for t in tensors:
        if bucket and (size + t.numel() > BUCKET_ELEMENTS or bucket[0].dtype != t.dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(t)
        size += t.numel()
    if bucket:
        yield bucket
