"""Latency of a space's blocks, timed inside of whole networks."""

from __future__ import annotations

import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tqdm import tqdm

from ..modeling import Supernet
from ..space import LatencyTable, SearchSpace
from ..space.cost import block_resolutions, checked_size
from .cpu import with_threads

NETWORKS = 20  # of the check
_WARM_UP = 2  # rounds
_UNDISTURBED = 0.1  # quantile of a choice's times


def measure_latency(
    space: SearchSpace,
    input_size: Sequence[int] = (224, 224),
    *,
    batch_size: int = 1,
    device: str = "cpu",
    threads: int | None = None,
    rounds: int = 40,
    progress: bool = False,
) -> LatencyTable:
    """Milliseconds of a forward of the body in eval mode, norms not folded, by block and choice.

    A block that runs alone finds other caches than in a network, so blocks are timed inside of
    networks: a round runs every choice of every block once, in as many networks as there are
    choices. Of all times of a choice in blocks of one shape and resolution, the lowest decile
    counts, the least disturbed. One factor brings the sums to the level of whole networks: the
    median, over these networks, of their time divided by the sum.

    The check is on NETWORKS other networks, timed as a whole in the same rounds and mixed with the
    others, so that drift of the machine hits all alike; the median of each counts. They are random,
    each with its own odds of the choices, which spreads them further than even odds would.

    Args:
        input_size: (height, width) in pixels.
        threads: of PyTorch on a CPU; None leaves them as they are.
        progress: show the rounds done and the time left.

    Raises:
        SpaceError: for an input size that isn't two positive integers.
    """
    size = checked_size(input_size)
    rng = np.random.default_rng(0)
    options = space.num_choices
    others = np.stack([_random_path(space, rng) for _ in range(NETWORKS)])
    timed: list[tuple[list[int], list[float]]] = []  # choices, and times of stem and blocks
    whole: list[list[float]] = [[] for _ in others]
    with with_threads(threads):
        body = _Body(space, (batch_size, 3, *size), device)
        for done in tqdm(range(-_WARM_UP, rounds), unit="round", disable=not progress):
            if done == 0:  # what was the warm-up is forgotten
                timed, whole = [], [[] for _ in others]
            # every option of each block in random order, some twice where there are fewer
            square = np.stack([rng.permutation(np.resize(o, options)) for o in space.options], 1)
            for k in rng.permutation(options + NETWORKS).tolist():
                if k < options:
                    choices = square[k].tolist()
                    timed.append((choices, body.time_blocks(choices)))
                else:
                    whole[k - options].append(body.time_whole(others[k - options].tolist()))
        threads = torch.get_num_threads()
    stem, table, factor = _estimate(space, size, timed)
    measured = np.median(whole, axis=1)
    predicted = stem + table[np.arange(space.num_blocks), others].sum(axis=1)
    errors = np.abs(predicted / measured - 1)
    differ = np.ptp(measured) > 0 and np.ptp(predicted) > 0
    return LatencyTable(
        space=space.name,
        fingerprint=space.fingerprint,
        input_size=size,
        batch_size=batch_size,
        device=device,
        device_name=device_name(device),
        threads=threads,
        torch=version("torch"),
        constant_ms=stem,
        block_ms=tuple(tuple(None if n != n else n for n in row) for row in table.tolist()),
        check={
            "architectures": others.tolist(),
            "measured_ms": measured.tolist(),
            "predicted_ms": predicted.tolist(),
            "factor": factor,
            "median_error": float(np.median(errors)),
            "largest_error": float(errors.max()),
            "rank_correlation": (
                float(spearmanr(measured, predicted).statistic) if differ else None
            ),
        },
    )


def _random_path(space: SearchSpace, rng: np.random.Generator) -> list[int]:
    """The choices of a path with odds of its own."""
    odds = rng.dirichlet(np.ones(space.num_choices))
    fitting = [odds * allowed for allowed in space.allowed]
    return [int(rng.choice(space.num_choices, p=p / p.sum())) for p in fitting]


def _estimate(
    space: SearchSpace, size: tuple[int, int], timed: Sequence[tuple[list[int], list[float]]]
) -> tuple[float, NDArray[np.float64], float]:
    """The stem's time, (L, C) times of the blocks (NaN where a choice doesn't fit), and the factor
    that is in both."""
    shapes = [
        (block.in_channels, block.out_channels, block.stride, resolution)
        for block, resolution in zip(space.blocks, block_resolutions(space, size), strict=True)
    ]
    times: dict[Any, list[float]] = defaultdict(list)
    for choices, (_, *of_blocks) in timed:
        for shape, choice, milliseconds in zip(shapes, choices, of_blocks, strict=True):
            times[shape, choice].append(milliseconds)
    least = {key: np.quantile(values, _UNDISTURBED) for key, values in times.items()}
    numbers = range(space.num_choices)
    table = np.array([[least.get((shape, c), np.nan) for c in numbers] for shape in shapes])
    stem = np.quantile([of_all[0] for _, of_all in timed], _UNDISTURBED)
    rows = np.arange(space.num_blocks)
    factor = np.median([sum(t) / (stem + table[rows, choices].sum()) for choices, t in timed])
    return float(factor * stem), factor * table, float(factor)


class _Body:
    """Paths of a space's supernet, timed."""

    def __init__(self, space: SearchSpace, shape: Sequence[int], device: str) -> None:
        self._supernet = Supernet(space, out_features=space.stage_names)
        self._supernet.eval().to(device)
        self._images = torch.randn(*shape, device=device)
        self._gpu = self._images.is_cuda
        self._marks: list[Any] = []

    def time_whole(self, choices: Sequence[int]) -> float:
        """Milliseconds of a forward."""
        (milliseconds,) = self._run(choices)
        return milliseconds

    def time_blocks(self, choices: Sequence[int]) -> list[float]:
        """Milliseconds of the stem and of each block in one forward."""
        stages = [self._supernet.get_submodule(name) for name in self._supernet.space.stage_names]
        blocks = [choice for s in stages for block in s.children() for choice in block.children()]
        with ExitStack() as hooks:
            for module in (self._supernet.stem, *blocks):
                hooks.callback(module.register_forward_hook(self._mark).remove)
            return self._run(choices)[:-1]  # the last is what comes after the last block

    def _run(self, choices: Sequence[int]) -> list[float]:
        self._marks.clear()
        with torch.inference_mode(), self._supernet.use_path(choices):
            self._mark()
            self._supernet(self._images)
            self._mark()
        pairs = list(pairwise(self._marks))
        if self._gpu:
            torch.cuda.synchronize()
            return [start.elapsed_time(end) for start, end in pairs]
        return [1e3 * (end - start) for start, end in pairs]

    def _mark(self, *_: Any) -> None:
        """Remember the moment, on a GPU without waiting for it; also a forward hook."""
        if self._gpu:
            self._marks.append(torch.cuda.Event(enable_timing=True))
            self._marks[-1].record()
        else:
            self._marks.append(time.perf_counter())


def device_name(device: str) -> str:
    """The GPU's name, or the processor's."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()
