"""One optimisation step, in which only the gradients of the path travel, during backward."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from detectron2.engine import SimpleTrainer
from torch import nn

from ..modeling import find_backbone, find_supernet
from .parallel import averaged_gradients, gradient_group


class PathwiseStep(SimpleTrainer):
    """Detectron2's SimpleTrainer with path-wise data parallelism and mixed precision.

    Why not ``DistributedDataParallel``: it does not know the path. With ``find_unused_parameters``
    it searches each step's graph for it and sends zeros for all other weights (the 300M supernet
    with FPN and box head for COCO: 103 MB, of which the path's are 83), and the host waits for the
    device to learn which gradients there are. Here the path is known before backward, and the
    parameters that run on it are averaged, on any device. (Detectron2's ``create_ddp_model`` and
    ``AMPTrainer`` refuse a CPU.)

    Gradients of the former path are set to None, not to zero, before backward: SGD then passes
    over them, and neither momentum nor weight decay moves an inactive weight.

    A step may be several passes with a batch each (``StrictlyFairPathSampler``). The gradient of
    a weight is then its mean over the passes that it ran in, and losses are means over all.

    Args:
        model: maps a batch to a dict of scalar losses.
        data_loader: an iterable of batches.
        optimizer: over the model's parameters.
        amp: mixed precision (float16 with loss scaling) on a CUDA device.

    Attributes:
        passes: forward and backward passes of a step.
        before_pass: called before each but the first, with its number in the step.
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
        self._supernet = find_supernet(model)
        self._parameters = _in_forward_order(model)
        self._group = gradient_group(next(model.parameters()).device)
        self.passes = 1
        self.before_pass: Callable[[int], None] = lambda number: None

    def run_step(self) -> None:
        data_time = 0.0
        means: dict[str, torch.Tensor] = {}
        runs: Counter[nn.Parameter] = Counter()
        self.optimizer.zero_grad(set_to_none=True)
        for number in range(self.passes):
            if number:
                self.before_pass(number)
            start = time.perf_counter()
            data = next(self._data_loader_iter)
            data_time += time.perf_counter() - start
            with self._same_rounding():
                with torch.autocast("cuda", enabled=self.amp):
                    loss_dict = self.model(data)
                    losses = sum(loss_dict.values())
                with averaged_gradients(self._running_parameters(), self._group):
                    self.grad_scaler.scale(losses).backward()
            for name, loss in loss_dict.items():
                means[name] = means.get(name, 0) + loss.detach() / self.passes
            if self.passes > 1:
                runs.update(self._running_parameters())
        for parameter, count in runs.items():
            if count > 1 and parameter.grad is not None:
                parameter.grad /= count
        self._write_metrics(means, data_time)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def _running_parameters(self) -> Iterator[nn.Parameter]:
        """Found when they are asked for, which a single process with one pass never does."""
        idle = self._supernet.inactive_parameters() if self._supernet is not None else []
        idle_ids = {id(p) for p in idle}
        yield from (p for p in self._parameters if id(p) not in idle_ids)

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


def _in_forward_order(model: nn.Module) -> list[nn.Parameter]:
    """The parameters, our backbone's first: Detectron2's FPN has its own in front of these."""
    found = find_backbone(model)
    first = found[1].parameters() if found is not None else ()
    return list(dict.fromkeys([*first, *model.parameters()]))


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
