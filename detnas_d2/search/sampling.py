"""Random architectures under a limit that were not drawn before."""

from __future__ import annotations

import itertools
from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from ..space import Architecture, SearchSpace
from .errors import SearchError
from .limits import CHUNK, MAX_DRAWS, CostLimits

# Up to this size a space is listed and what remains of it is known exactly; above it random draws
# are tried, and after MAX_DRAWS in vain the space counts as exhausted.
ENUMERABLE = 2**16

ATTEMPTS = 100  # draws for one child before a random architecture takes its place


def draw_random(space: SearchSpace, count: int, limit: CostLimits, seed: int) -> list[Architecture]:
    """`count` different architectures under the limit, uniformly; a function of the arguments.

    A search of the same seed begins with the same ones: take another for a comparison with it.

    Raises:
        LimitError: no architecture meets the limit.
        SearchError: fewer than `count` do.
    """
    limit.witness()
    drawn = draw_unseen(space, count, set(), limit, np.random.default_rng(seed))
    if len(drawn) < count:
        raise SearchError(f"{count} architectures are wanted: {why_none_left(space, len(drawn))}")
    return drawn


def draw_unseen(
    space: SearchSpace,
    count: int,
    seen: Set[Architecture],
    limit: CostLimits,
    rng: np.random.Generator,
) -> list[Architecture]:
    """Up to `count` different architectures under the limit, out of those not in `seen`.

    Uniform, but for a limit so tight that half of MAX_DRAWS is in vain: the draws then keep more
    and more blocks of an architecture that meets it.

    Fewer are returned only if no more exist (spaces of at most ENUMERABLE architectures: exact) or
    if no more were found in MAX_DRAWS draws (larger spaces).
    """
    if count <= 0:
        return []
    if space.size <= ENUMERABLE:
        taken = {a.choices for a in seen}
        left = [choices for choices in itertools.product(*space.options) if choices not in taken]
        remaining = np.array(left, dtype=np.int64).reshape(-1, space.num_blocks)
        remaining = remaining[limit.allows(remaining)]
        picked = rng.choice(len(remaining), size=min(count, len(remaining)), replace=False)
        return [_architecture(space, row) for row in remaining[picked]]
    found: dict[Architecture, None] = {}
    for kept_share in np.linspace(-1, 1, MAX_DRAWS // CHUNK):
        rows = space.draw(rng, CHUNK)
        if kept_share > 0:
            rows = np.where(rng.random(rows.shape) < kept_share, limit.witness().choices, rows)
        for row in rows[limit.allows(rows)]:
            architecture = _architecture(space, row)
            if architecture not in seen:
                found[architecture] = None
                if len(found) == count:
                    return list(found)
    return list(found)


def why_none_left(space: SearchSpace, count: int) -> str:
    """Why draw_unseen gave too few, `count` architectures having been drawn in all."""
    if space.size <= ENUMERABLE:
        return f"space {space.name!r} has no more than {count} architectures under the limit"
    return (
        f"no further architecture under the limit was found in {MAX_DRAWS:,} random draws from "
        f"space {space.name!r}, after {count}"
    )


def _architecture(space: SearchSpace, row: NDArray[np.int64]) -> Architecture:
    return Architecture(space, tuple(row.tolist()))
