"""The operators of the evolution: pure functions of their arguments and a random generator."""

from __future__ import annotations

import numpy as np

from ..space import Architecture


def mutate(parent: Architecture, probability: float, rng: np.random.Generator) -> Architecture:
    """Each block is drawn anew with the given probability.

    As in the authors' code a new draw is uniform over all C choices that fit the block, the
    present one included: a block changes with probability * (C - 1) / C. The child can equal the
    parent.
    """
    space = parent.space
    redrawn = rng.random(space.num_blocks) < probability
    fresh = space.draw(rng, 1)[0]
    return Architecture(space, tuple(np.where(redrawn, fresh, parent.choices).tolist()))


def crossover(first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
    """Each block comes from either parent with probability 1/2. The child can equal a parent."""
    from_first = rng.random(len(first)) < 0.5
    return Architecture(
        first.space, tuple(np.where(from_first, first.choices, second.choices).tolist())
    )
