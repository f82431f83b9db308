"""Where a model has its DetNAS backbone."""

from __future__ import annotations

from torch import nn

from .backbone import StagedBackbone
from .errors import WeightsError
from .supernet import Supernet


def find_backbone(model: nn.Module) -> tuple[str, StagedBackbone] | None:
    """The supernet or stand-alone network in a model, with its prefix in the state dict.

    Returns:
        for example ("backbone.bottom_up.", supernet); None if the model has none.

    Raises:
        WeightsError: the model has more than one.
    """
    found = [
        (f"{name}." if name else "", module)
        for name, module in model.named_modules()
        if isinstance(module, StagedBackbone)
    ]
    if len(found) > 1:
        raise WeightsError(
            f"the model has {len(found)} DetNAS backbones, expected one: "
            + ", ".join(prefix for prefix, _ in found)
        )
    return found[0] if found else None


def find_supernet(model: nn.Module) -> Supernet | None:
    """The supernet in a model; None if its backbone is another, or none of ours.

    Raises:
        WeightsError: as `find_backbone`.
    """
    found = find_backbone(model)
    return found[1] if found and isinstance(found[1], Supernet) else None
