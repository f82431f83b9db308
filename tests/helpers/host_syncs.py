"""What makes the host wait for a GPU, counted on a CPU by the kind of operation."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

OWN = (__name__, "contextlib", "unittest.mock")


class HostSyncs(TorchDispatchMode):
    """Counts, in `found`, operations whose result the host has to read, by the module that asks.

    These are values (`item`, `bool(tensor)`), shapes that depend on values (`nonzero`, a mask as
    an index, NMS), and whole tensors (`cpu`, `numpy`, `tolist`). Copies to a GPU are not seen.
    """

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __enter__(self):
        self._patches = contextlib.ExitStack()
        for name in ("cpu", "numpy", "tolist"):
            self._patches.enter_context(patch.object(torch.Tensor, name, self._counted(name)))
        return super().__enter__()

    def __exit__(self, *args):
        self._patches.close()
        return super().__exit__(*args)

    def _counted(self, name):
        method = getattr(torch.Tensor, name)

        def counted(*args, **kwargs):
            self.found[_asking()] += 1
            return method(*args, **kwargs)

        return counted

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if _waits(func, args):
            self.found[_asking()] += 1
        return func(*args, **(kwargs or {}))


def _waits(func, args):
    if func.namespace == "torchvision":
        return "nms" in func.name()
    if func._schema.name in ("aten::index", "aten::index_put", "aten::index_put_"):
        return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)


def _asking():
    """The innermost module on the stack that is neither torch's nor this one, or "backward"."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name == "torch.autograd.graph":
            return "backward"
        if name not in OWN and name.partition(".")[0] != "torch":
            return name
        frame = frame.f_back
    return ""
