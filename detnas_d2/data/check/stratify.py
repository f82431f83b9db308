"""Deals out groups of images so that every part has its share of every class."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from detnas_d2.data.errors import DataError
from detnas_d2.data.seeding import derive_seed

PARTS = ("train", "val", "test")
_STRATIFY = 18  # purpose of a derived seed


def assign(
    labels: Sequence[Set[str]], sizes: Sequence[int], fractions: Sequence[float], seed: int
) -> list[int]:
    """The part of each group: iterative stratification (Sechidis et al., ECML 2011).

    The class that the fewest remaining groups have is dealt out first, each group to the part
    that lacks most of it. When no more groups are left than parts without the class, they go to
    these, so that three groups of a rare class reach three parts.

    Args:
        labels: the classes of each group.
        sizes: images of each group.
        fractions: of the images, for train, val and perhaps test.

    Returns:
        for each group the index of its part; a function of the arguments alone.

    Raises:
        DataError: fractions that are not above 0 or do not sum to 1.
    """
    # so that NaN is refused, too
    usable = all(f > 0 for f in fractions) and abs(sum(fractions) - 1) <= 1e-6
    if len(fractions) not in (2, 3) or not usable:
        given = " ".join(f"{fraction:g}" for fraction in fractions)
        raise DataError(
            f"--fractions {given}: expected two or three numbers above 0 that sum to 1, for train, "
            "val and test, e.g. 0.7 0.15 0.15."
        )
    drawn = np.random.default_rng(derive_seed(seed, _STRATIFY)).permutation(len(labels))
    # large groups first: later there may be no room for them; a dict is an ordered set
    left = dict.fromkeys(sorted(drawn.tolist(), key=lambda group: -sizes[group]))
    waiting: dict[str, dict[int, None]] = {}  # groups of each class
    for group in left:
        for label in labels[group]:
            waiting.setdefault(label, {})[group] = None
    room = np.array(fractions) * sum(sizes)
    lacking = {
        label: np.array(fractions) * sum(sizes[group] for group in groups)
        for label, groups in waiting.items()
    }
    without = {label: set(range(len(fractions))) for label in waiting}
    parts = [-1] * len(labels)

    def put(group: int, part: int) -> None:
        parts[group] = part
        room[part] -= sizes[group]
        del left[group]
        for label in labels[group]:
            waiting[label].pop(group)
            lacking[label][part] -= sizes[group]
            without[label].discard(part)

    while waiting:
        label = min(waiting, key=lambda name: (len(waiting[name]), name))
        while waiting[label]:
            scarce = without[label] if len(waiting[label]) <= len(without[label]) else ()
            among = sorted(scarce) or range(len(fractions))
            best = max(among, key=lambda p: (lacking[label][p], room[p], -p))
            put(next(iter(waiting[label])), best)
        del waiting[label]
    for group in [*left]:
        put(group, int(np.argmax(room)))
    return parts
