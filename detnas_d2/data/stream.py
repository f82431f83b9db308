"""The training stream: which images step i sees, as a function of (seed, i)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from detnas_d2.data.errors import DataError
from detnas_d2.data.seeding import derive_seed

# Purposes of derived seeds; the second number of each key.
_EPOCH, _GROUP_EPOCH, _GROUP_DRAW = 1, 2, 3
_CHUNK = 4096  # steps whose groups are drawn together


class StepBatchSampler:
    """Infinite batches, each a function of (seed, step) and of nothing that came before.

    Step i covers the global positions ``p = i * total_batch_size + j``; rank r of W takes the
    r-th contiguous W-th of them, so that the union over ranks does not depend on W.

    Without groups, position p is entry ``p % N`` of the permutation of epoch ``p // N``, keyed by
    (seed, epoch): N consecutive positions from a multiple of N visit each image once. With groups
    (landscape and portrait images, say) each step takes all its images from one group, drawn with
    a probability proportional to the group's size and keyed by seed; the images of a group are
    such a permutation stream of their own.

    Args:
        images: the number of images N, or one group id for each image.
        total_batch_size: images a step on all ranks together.
        start_step: the step of the first batch that iteration yields.

    Raises:
        DataError: no images, a batch that the ranks cannot share evenly, or numbers out of range.
    """

    def __init__(
        self,
        images: int | Sequence[int],
        total_batch_size: int,
        seed: int = 0,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        size = images if isinstance(images, int) else len(images)
        if size < 1:
            raise DataError("The training set holds no image.")
        if not 0 <= rank < world_size:
            raise DataError(f"Rank {rank} is not one of {world_size} processes.")
        if total_batch_size < 1 or total_batch_size % world_size:
            raise DataError(
                f"total_batch_size={total_batch_size} cannot be shared evenly by {world_size} "
                f"processes: choose a positive multiple of {world_size}."
            )
        if start_step < 0:
            raise DataError(f"start_step must be at least 0, got {start_step}.")
        self.total_batch_size = total_batch_size
        self.start_step = start_step
        self._per_rank = total_batch_size // world_size
        self._first = rank * self._per_rank
        self._stream: _PermutationStream | None = None
        self._groups: _GroupDraws | None = None
        if isinstance(images, int):
            self._stream = _PermutationStream(np.arange(size), (seed, _EPOCH))
        else:
            _, groups = np.unique(np.asarray(images), return_inverse=True)
            members = [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]
            self._groups = _GroupDraws([len(m) for m in members], seed)
            self._group_streams = [
                _PermutationStream(m, (seed, _GROUP_EPOCH, g)) for g, m in enumerate(members)
            ]

    def batch(self, step: int) -> list[tuple[int, int]]:
        """(image index, global position) of this rank's images of a step."""
        position = step * self.total_batch_size + self._first
        if self._groups is None:
            assert self._stream is not None
            indices = self._stream.take(position, self._per_rank)
        else:
            group, earlier = self._groups.at(step)
            start = earlier * self.total_batch_size + self._first
            indices = self._group_streams[group].take(start, self._per_rank)
        return [(int(index), position + j) for j, index in enumerate(indices)]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step = self.start_step
        while True:
            yield self.batch(step)
            step += 1


class _PermutationStream:
    """The endless sequence of one permutation after the other of some indices."""

    def __init__(self, indices: np.ndarray, key: tuple[int, ...]) -> None:
        self._indices = indices
        self._key = key
        self._epoch = -1
        self._order = indices

    def take(self, start: int, count: int) -> np.ndarray:
        """Entries [start, start + count) of the sequence."""
        size = len(self._indices)
        parts = []
        while count:
            epoch, offset = divmod(start, size)
            if epoch != self._epoch:
                rng = np.random.default_rng(derive_seed(*self._key, epoch))
                self._epoch, self._order = epoch, rng.permutation(self._indices)
            part = self._order[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts)


class _GroupDraws:
    """The group of each step, and how many earlier steps drew the same group."""

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        self._edges = np.cumsum(sizes)
        self._seed = seed
        self._before = [np.zeros(len(sizes), dtype=np.int64)]  # draws of each group before chunk c
        self._chunk = -1
        self._draws = np.empty(0, dtype=np.int64)

    def at(self, step: int) -> tuple[int, int]:
        chunk, offset = divmod(step, _CHUNK)
        while len(self._before) <= chunk:
            draws = self._draw(len(self._before) - 1)
            counts = np.bincount(draws, minlength=len(self._edges))
            self._before.append(self._before[-1] + counts)
        if chunk != self._chunk:
            self._chunk, self._draws = chunk, self._draw(chunk)
        group = int(self._draws[offset])
        earlier = np.count_nonzero(self._draws[:offset] == group)
        return group, int(self._before[chunk][group]) + int(earlier)

    def _draw(self, chunk: int) -> np.ndarray:
        """The groups of the chunk's steps: that of an image drawn uniformly for each step."""
        rng = np.random.default_rng(derive_seed(self._seed, _GROUP_DRAW, chunk))
        images = rng.integers(int(self._edges[-1]), size=_CHUNK)
        return np.searchsorted(self._edges, images, side="right")
