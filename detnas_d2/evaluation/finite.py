"""NaN must not pass for a network that detects nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from ..modeling import find_backbone


@contextmanager
def finite_outputs(model: nn.Module) -> Iterator[None]:
    """Within this context what stands on the backbone has to compute finite numbers.

    Detectron2 drops boxes and scores that are not finite without a word, so that a network with NaN
    in its weights or statistics seems to detect nothing. What its layers compute tells them apart.
    A NaN in the backbone goes through all that stands on it: FPN, heads, a classifier's last layer.
    The sum of each of their outputs is looked at, all of them at the end, so that a GPU is not
    waited for.

    Raises:
        FloatingPointError: at the end, naming the first layer that gave NaN or infinity.
    """
    sums: list[tuple[str, torch.Tensor]] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            sums.append((name, output.detach().sum(dtype=torch.float32)))

    found = find_backbone(model)
    inside = set(found[1].modules()) if found is not None else set()
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if module not in inside and next(module.parameters(recurse=False), None) is not None:
                hook = module.register_forward_hook(lambda m, x, y, name=name: note(name, y))
                hooks.callback(hook.remove)
        yield
    finite = torch.stack([s for _, s in sums]).isfinite().tolist() if sums else []
    if not all(finite):
        raise FloatingPointError(
            f"The layer {sums[finite.index(False)][0]!r} gives NaN or infinity; expected finite "
            "numbers. Has the training diverged?"
        )
