"""Equal scores, taken in the order in which they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class TiesInOrder(TorchFunctionMode):
    """Within this context, of equal values ``sort`` and ``topk`` take the one of least index first.

    So does ONNX's TopK; PyTorch leaves that order open where ``stable=True`` is not said. Where a
    layer's ReLU gives zero, as in an even background, the scores of many anchors are the bias,
    equal bit by bit; which of two that overlap non-maximum suppression keeps is then a matter
    of that order.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.Tensor.sort, torch.sort):
            return _sort(*args, **kwargs)
        if func in (torch.Tensor.topk, torch.topk):
            return _topk(*args, **kwargs)
        return func(*args, **kwargs)


def _sort(
    input: torch.Tensor, dim: int = -1, descending: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    return input.sort(dim=dim, descending=descending, stable=True)


def _topk(
    input: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    values, indices = _sort(input, dim, largest)
    return values.narrow(dim, 0, k), indices.narrow(dim, 0, k)
