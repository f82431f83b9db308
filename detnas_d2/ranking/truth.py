"""A table of networks that were trained alone, as projects/DetNAS/table/table.json."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..files import parse_json
from ..space import Architecture, ArchitectureError, SearchSpace
from .comparison import RankingError

_FORM = (
    'expected {"architectures": [{"architecture": [1, 1, 2, 1], "AP": [62.2, 63.2], "validation": '
    '{"AP": [61.9, 62.8]}}, ...]}, with a figure for each seed'
)


def read_truth(
    file: Path, space: SearchSpace, metric: str, *, validation: bool = False
) -> dict[Architecture, list[float]]:
    """The figures of each network, one a seed; one that is null (nothing was detected) is 0.

    Args:
        file: JSON. Of its keys are read those that RankingError's message shows.
        metric: a key such as AP or AP50.
        validation: take the figures on validation images.

    Raises:
        RankingError: it can't be read, or holds something else, or networks of another space.
    """
    found: dict[Architecture, list[float]] = {}
    try:
        for entry in parse_json(file.read_bytes())["architectures"]:
            architecture = Architecture(space, entry["architecture"])
            if architecture in found:
                raise ValueError(f"{architecture} stands in it twice")
            found[architecture] = _figures((entry["validation"] if validation else entry)[metric])
    except OSError as error:
        raise RankingError(f"{file} can't be read: {error.strerror}; {_FORM}.") from None
    except (ValueError, TypeError, KeyError, OverflowError, ArchitectureError) as error:
        what = f"there is no key {error}" if isinstance(error, KeyError) else str(error)
        after = f" (after {len(found)} networks that can be read)" if found else ""
        raise RankingError(f"{file} is no table for this search: {what}{after}; {_FORM}.") from None
    return found


def _figures(values: Any) -> list[float]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{values!r} is no list of figures")
    for value in values:
        if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"{value!r} is no figure")
    return [float(value or 0) for value in values]
