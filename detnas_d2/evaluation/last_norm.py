"""A forward that ends with its last norm, for statistics that nothing behind it can change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..modeling.errors import ModelError


class _BehindLastNorm(Exception):
    """A module is about to run behind the last norm."""


@contextmanager
def up_to_last_norm(
    model: nn.Module, norms: Sequence[nn.Module], ends: set[nn.Module]
) -> Iterator[Callable[[Any], list[int]]]:
    """Gives a forward of `model` that ends with the last of `norms`.

    It returns how many values a channel each norm's input had; 0 where a norm has not run. Which
    module follows the last norm is seen in a forward that goes to its end and in which all norms
    run; it becomes one of `ends`, which other paths may have in common. A forward ends where one of
    them would begin after all norms have run, and not in the norm itself: what is around a norm,
    such as Detectron2's CycleBatchNormList, has its own state to bring to its end.
    """
    sizes: dict[nn.Module, int] = {}
    following: list[nn.Module] = []
    is_seen = False

    def count(norm: nn.Module, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        if norm in sizes:
            raise ModelError(
                "A batch norm runs twice in one forward; its statistics would mix two inputs. "
                "Give each place its own norm, as CycleBatchNormList does for feature levels."
            )
        sizes[norm] = inputs[0].numel() // inputs[0].shape[1]
        following.clear()

    def end(*_: Any) -> None:
        if len(sizes) == len(norms):
            raise _BehindLastNorm

    def end_at(module: nn.Module) -> None:
        ends.add(module)
        handles.callback(module.register_forward_pre_hook(end).remove)

    def forward(batch: Any) -> list[int]:
        nonlocal is_seen
        sizes.clear()
        following.clear()
        watch = None
        if not is_seen:
            watch = register_module_forward_pre_hook(lambda module, _: following.append(module))
        try:
            model(batch)
            if not is_seen and len(sizes) == len(norms):
                is_seen = True
                if following:
                    end_at(following[0])
        except _BehindLastNorm:
            is_seen = True
        finally:
            if watch is not None:
                watch.remove()
        return [sizes.get(norm, 0) for norm in norms]

    with ExitStack() as handles:
        for norm in norms:
            handles.callback(norm.register_forward_hook(count).remove)
        for module in list(ends):
            end_at(module)
        yield forward
