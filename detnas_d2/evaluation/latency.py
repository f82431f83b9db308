"""Measures how long each choice of each block takes on the device at hand.

    python -m detnas_d2.evaluation.latency SPACE --output latency.json [--device cuda]

SPACE is a name (300m, ...) or a config file. Writes a latency table for search.latency_table, with
which search.latency_limit is in milliseconds of one forward of the backbone's body in eval mode
(see measure_latency). It is measured at search.input_size of the config, else at 224x224: set
--input-size to what the detector sees. At the end it says how well the table predicts whole
networks; a median error over 10% is warned of.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn
from tqdm import tqdm

from ..commands import command, new_parser
from ..engine.machines import check_device
from ..files import write_json
from ..modeling import Supernet
from ..space import LATENCY_ERROR, LatencyTable, SearchSpace
from ..space.cost import block_resolutions, checked_size
from ..space_file import add_space, space_and_size
from .cpu import device_name, with_threads

PROGRAM = "python -m detnas_d2.evaluation.latency"
NETWORKS = 20  # of the check
_BUSY = 1.5  # times the undisturbed time
_WARM_UP = 2  # rounds
_UNDISTURBED = 0.1  # quantile of a choice's times


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = add_space(new_parser(__doc__, PROGRAM))
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    parser.add_argument("--batch-size", type=_positive, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=_positive, help="of PyTorch on a CPU")
    parser.add_argument("--rounds", type=_positive, default=40, help="times of each choice")
    args = parser.parse_args(argv)
    check_device(args.device)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    table = measure_latency(
        *space_and_size(args),
        batch_size=args.batch_size,
        device=args.device,
        threads=args.threads,
        rounds=args.rounds,
    )
    write_json(args.output, table.to_json())
    check = table.check
    height, width = table.input_size
    measured = np.array(check["measured_ms"])
    correlation = check["rank_correlation"]
    print(
        f"{args.output}: space {table.space}, {height}x{width}, batches of {table.batch_size}, on "
        f"{table.device_name} ({table.threads} threads), torch {table.torch}\n"
        f"checked on {NETWORKS} other networks as a whole, {measured.min():.2f} to "
        f"{measured.max():.2f} ms: median error {check['median_error']:.1%}, "
        f"largest {check['largest_error']:.1%}, rank correlation "
        f"{'none' if correlation is None else f'{correlation:.2f}'}\n"
        f"networks took {check['factor']:.2f} times what their blocks take undisturbed"
    )
    if table.is_far_off or check["factor"] > _BUSY:
        print(
            f"WARNING: expected are a median error of at most {LATENCY_ERROR:.0%} and, on an idle "
            "machine, about 1 times the undisturbed time; measure again on an idle one",
            file=sys.stderr,
        )


def measure_latency(
    space: SearchSpace,
    input_size: Sequence[int] = (224, 224),
    *,
    batch_size: int = 1,
    device: str = "cpu",
    threads: int | None = None,
    rounds: int = 40,
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
        for _ in tqdm(range(_WARM_UP + rounds), unit="round"):
            # every option of each block in random order, some twice where there are fewer
            square = np.stack([rng.permutation(np.resize(o, options)) for o in space.options], 1)
            for k in rng.permutation(options + NETWORKS).tolist():
                if k < options:
                    choices = square[k].tolist()
                    timed.append((choices, body.time(choices, body.parts)[:-1]))
                else:
                    whole[k - options] += body.time(others[k - options].tolist())
        threads = torch.get_num_threads()
    stem, table, factor = _estimate(space, size, timed[_WARM_UP * options :])
    measured = np.median([times[_WARM_UP:] for times in whole], axis=1)
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
    """Paths of a space's supernet, timed; parts: the stem and all choices of all blocks."""

    def __init__(self, space: SearchSpace, shape: Sequence[int], device: str) -> None:
        self._supernet = Supernet(space, out_features=space.stage_names)
        self._supernet.eval().to(device)
        stages = [self._supernet.get_submodule(name) for name in space.stage_names]
        blocks = [choice for s in stages for block in s.children() for choice in block.children()]
        self.parts = [self._supernet.stem, *blocks]
        self._images = torch.randn(*shape, device=device)
        self._gpu = self._images.is_cuda
        self._marks: list[Any] = []

    def time(self, choices: Sequence[int], parts: Sequence[nn.Module] = ()) -> list[float]:
        """Milliseconds of a forward, to the end of each of `parts` that runs, and of the rest."""
        self._marks.clear()
        with ExitStack() as hooks, torch.inference_mode(), self._supernet.use_path(choices):
            for module in parts:
                hooks.callback(module.register_forward_hook(self._mark).remove)
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


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()
