"""Floating-point operations of convolutions: how many run, and how many the machine can do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook


@contextlib.contextmanager
def counted(flops: list[int]) -> Iterator[None]:
    """Note the floating-point operations of each convolution that runs."""

    def count(module: Any, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        if isinstance(module, nn.Conv2d):
            flops.append(conv_flops(inputs[0].shape, module))

    handle = register_module_forward_hook(count)
    try:
        yield
    finally:
        handle.remove()


def conv_flops(shape: Sequence[int], conv: nn.Conv2d) -> int:
    """Of a convolution, 2 a multiply-add; what falls on the padding is no work, and not counted."""
    taps = 1
    paddings = cast(tuple[int, ...], conv.padding)  # no "same", which Detectron2 has nowhere
    for size, kernel, stride, padding, dilation in zip(
        shape[2:], conv.kernel_size, conv.stride, paddings, conv.dilation, strict=True
    ):
        starts = range(-padding, size + padding - dilation * (kernel - 1), stride)
        taps *= sum(0 <= s + dilation * k < size for s in starts for k in range(kernel))
    return 2 * shape[0] * taps * conv.out_channels * conv.in_channels // conv.groups


def peak_flops(amp: bool) -> float:
    """FLOP/s of the best of several large convolutions."""
    dtype = torch.bfloat16 if amp else torch.float32
    best = 0.0
    for channels, size, kernel in ((256, 40, 3), (256, 40, 1), (512, 20, 3), (1024, 20, 1)):
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        conv.to(dtype).to(memory_format=torch.channels_last)
        x = torch.randn(8, channels, size, size, dtype=dtype)
        x = x.to(memory_format=torch.channels_last)
        for _ in range(10):
            start = time.perf_counter()
            with torch.no_grad():
                conv(x)
            seconds = time.perf_counter() - start
            best = max(best, conv_flops(x.shape, conv) / seconds)
    return best
