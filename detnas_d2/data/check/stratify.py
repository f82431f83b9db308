"""Deals out groups of images so that every part has its share of every class."""

from __future__ import annotations

from collections import defaultdict
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
        DataError: fractions that are not above 0 or do not sum to 1, or a part without images.
    """
    # so that NaN is refused, too
    usable = all(f > 0 for f in fractions) and abs(sum(fractions) - 1) <= 1e-6
    if len(fractions) not in (2, 3) or not usable:
        given = " ".join(f"{fraction:g}" for fraction in fractions)
        raise DataError(
            f"--fractions {given}: expected two or three numbers above 0 that sum to 1, for train, "
            "val and test, e.g. 0.7 0.15 0.15."
        )
    dealer = _Dealer(labels, sizes, np.array(fractions), seed)
    parts = dealer.deal()
    empty = [PARTS[p] for p in range(len(fractions)) if p not in parts]
    if empty:
        raise DataError(
            f"{sum(sizes)} images are too few for shares of {' '.join(map(str, fractions))}: "
            f"{' and '.join(empty)} would have none. Add images."
        )
    return parts


class _Dealer:
    def __init__(
        self, labels: Sequence[Set[str]], sizes: Sequence[int], fractions: np.ndarray, seed: int
    ) -> None:
        self._labels, self._sizes = labels, sizes
        drawn = np.random.default_rng(derive_seed(seed, _STRATIFY)).permutation(len(labels))
        # large groups first: later there may be no room for them
        self._order = sorted(drawn.tolist(), key=lambda group: -sizes[group])
        self._waiting: dict[str, dict[int, None]] = defaultdict(dict)  # groups of each class
        for group in self._order:
            for label in labels[group]:
                self._waiting[label][group] = None
        self._lacking = {
            label: fractions * sum(sizes[group] for group in groups)
            for label, groups in self._waiting.items()
        }
        self._without = {label: set(range(len(fractions))) for label in self._waiting}
        self._room = fractions * sum(sizes)
        self._parts = [-1] * len(labels)

    def deal(self) -> list[int]:
        while self._waiting:
            label = min(self._waiting, key=lambda name: (len(self._waiting[name]), name))
            for group in list(self._waiting[label]):
                self._put(group, self._choose(label))
            del self._waiting[label]
        for group in self._order:
            if self._parts[group] < 0:
                self._put(group, int(np.argmax(self._room)))
        return self._parts

    def _choose(self, label: str) -> int:
        without = self._without[label]
        parts = list(range(len(self._room)))
        if without and len(self._waiting[label]) <= len(without):
            parts = sorted(without)
        return max(parts, key=lambda p: (self._lacking[label][p], self._room[p], -p))

    def _put(self, group: int, part: int) -> None:
        self._parts[group] = part
        self._room[part] -= self._sizes[group]
        for label in self._labels[group]:
            self._waiting[label].pop(group)
            self._lacking[label][part] -= self._sizes[group]
            self._without[label].discard(part)
