"""Normalisation layers with a chosen momentum, wherever Detectron2 takes a `norm`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detectron2.layers import CycleBatchNormList, get_norm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .errors import ModelError

NormFactory = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Norm:
    """A factory of norm layers: `norm(num_channels) -> nn.Module`.

    Detectron2 takes a name or a callable as `norm` and gives no way to set the momentum by name.
    As a LazyConfig node, a lambda would not load again: `norm=L(Norm)(name="SyncBN")`.

    Args:
        name: a name of `detectron2.layers.get_norm`: "BN", "SyncBN", "naiveSyncBN", "FrozenBN",
            "GN" (32 groups).
        momentum: weight of the new batch in the running statistics, in (0, 1]. The paper trains
            the supernet with 0.1 and the final network with 0.01. No effect on norms without
            running averages of their own ("FrozenBN", "GN").
        eps: added to the variance.

    Raises:
        ValueError: an unknown name or a momentum out of range.
    """

    name: str = "SyncBN"
    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 < self.momentum <= 1:
            raise ModelError(f"norm momentum must be in (0, 1], got {self.momentum}")
        try:
            known = get_norm(self.name, 32) is not None  # 32: the least that GN takes
        except KeyError:
            known = False
        if not known:
            raise ModelError(
                f"unknown norm {self.name!r}; expected a name of detectron2.layers.get_norm: "
                "BN, SyncBN, naiveSyncBN, FrozenBN or GN"
            )

    def __call__(self, num_channels: int) -> nn.Module:
        layer: nn.Module = get_norm(self.name, num_channels)
        if isinstance(layer, _BatchNorm):
            layer.momentum = self.momentum
        layer.eps = self.eps  # type: ignore[assignment]  # every norm above has one
        return layer


@dataclass(frozen=True)
class LevelNorm:
    """A factory of norms with statistics of their own for each of several feature levels.

    Detectron2's RetinaNetHead makes these of the names "BN" and "SyncBN", without a momentum.

    Args:
        norm: a batch norm.
        levels: how many feature maps pass through the head in turn.

    Raises:
        ValueError: a norm without batch statistics.
    """

    norm: Norm
    levels: int = 5

    def __call__(self, num_channels: int) -> nn.Module:
        layer = self.norm(num_channels)
        if not isinstance(layer, _BatchNorm):
            raise ModelError(f"LevelNorm is for batch norms, got {self.norm.name!r}")
        return CycleBatchNormList(
            length=self.levels,
            bn_class=type(layer),
            num_features=num_channels,
            momentum=self.norm.momentum,
            eps=self.norm.eps,
        )


def resolve_norm(norm: str | NormFactory) -> NormFactory:
    """The factory for a name or a callable.

    Raises:
        ValueError: an unknown name; also "" or None, since the convolutions have no bias.
    """
    return norm if callable(norm) else Norm(norm)
