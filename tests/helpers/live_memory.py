"""What is really allocated while a network runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _LiveTensors(TorchDispatchMode):
    """The greatest sum of the bytes of all storages that are alive when an operator returns."""

    def __init__(self, *present: torch.Tensor) -> None:
        super().__init__()
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0
        self._add(present)

    def _add(self, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                reference = StorageWeakRef(storage)
                self._alive.setdefault(reference.cdata, (reference, storage.nbytes()))
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        results = func(*args, **(kwargs or {}))
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
        self._add(results)
        return results


def peak_of_tensors(network: Callable[[torch.Tensor], Any], image: torch.Tensor) -> int:
    """Bytes of all tensors alive at the worst moment, the image and what is returned in them."""
    with torch.no_grad(), _LiveTensors(image) as live:
        results = network(image)
    del results
    return live.peak


def peak_of_allocator(network: Callable[[torch.Tensor], Any], image: torch.Tensor) -> int:
    """The same by PyTorch's CPU allocator, working space inside of operators included."""
    with torch.no_grad():
        network(image)
        with profile(profile_memory=True) as profiled:
            results = network(image)
    del results
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    used = peak = image.untyped_storage().nbytes()
    for event in sorted(events, key=lambda e: e.start_ns()):
        used += event.nbytes()
        peak = max(peak, used)
    return peak
