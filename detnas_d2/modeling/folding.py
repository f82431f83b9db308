"""Batch norms folded into the convolutions before them, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from detectron2.layers import Conv2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .blocks import ConvNorm
from .supernet import find_supernet


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """Within this context batch norms on the current path are part of their convolutions.

    In eval mode a batch norm is a fixed scale and shift of each channel, which the convolution's
    weights and bias can do. Outputs are the same but for rounding. Folded are the norms of our
    ``ConvNorm`` and of Detectron2's ``Conv2d`` (FPN, box head); norms elsewhere, as in a block of
    one's own, stay as they are, and so do those that several feature levels take in turn.

    The model is as it was when the context ends, also after an exception.

    Args:
        model: in eval mode; what is in training mode is left out.
    """
    supernet = find_supernet(model)
    inactive = {
        id(module)
        for block in (supernet.inactive_blocks() if supernet else ())
        for module in block.modules()
    }
    changed: list[tuple[nn.Module, nn.Module, Any, Any, nn.Module]] = []
    try:
        for module in model.modules():
            pair = None if id(module) in inactive else _conv_and_norm(module)
            if pair is None:
                continue
            conv, norm = pair
            changed.append((module, conv, conv.weight, conv.bias, norm))
            conv.weight, conv.bias = fuse_conv_bn_weights(
                *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
                *(norm.eps, norm.weight, norm.bias),
            )
            module.norm = nn.Identity()
        yield
    finally:
        for module, conv, weight, bias, norm in changed:
            conv.weight, conv.bias, module.norm = weight, bias, norm


def _conv_and_norm(module: nn.Module) -> tuple[Any, Any] | None:
    """The convolution of a module and the batch norm that it applies right after it."""
    if not isinstance(module, (ConvNorm, Conv2d)):
        return None
    norm = module.norm
    if not isinstance(norm, _BatchNorm) or norm.training or norm.running_mean is None:
        return None
    return (module.conv if isinstance(module, ConvNorm) else module), norm
