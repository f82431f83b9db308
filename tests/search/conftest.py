"""A toy problem: spaces, a separable fitness with a known optimum, and runs on a ledger."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from detnas_d2.search import Evaluation, Evaluator, InProcessExecutor, Ledger, make_header
from detnas_d2.space import (
    Architecture,
    CostTable,
    SearchSpace,
    ShuffleChoice,
    Stage,
    XceptionChoice,
    get_space,
)


@pytest.fixture(scope="session")
def demo() -> SearchSpace:
    """4^10 architectures: too many to list."""
    return get_space("demo")


@pytest.fixture(scope="session")
def tiny() -> SearchSpace:
    """3^3 = 27 architectures."""
    choices = (ShuffleChoice(3), ShuffleChoice(5), XceptionChoice())
    return SearchSpace("tiny", 8, (Stage(16, 2), Stage(32, 1)), choices)


@pytest.fixture(scope="session")
def cost() -> Callable[[SearchSpace], CostTable]:
    return functools.cache(CostTable)


class Separable:
    """Fitness: a random number for each choice of each block, added up."""

    def __init__(self, space: SearchSpace):
        self.table = np.random.default_rng(5).random((space.num_blocks, space.num_choices))
        self.calls: list[Architecture] = []

    def __call__(self, architecture: Architecture) -> tuple[float, dict[str, float]]:
        self.calls.append(architecture)
        value = self.value(architecture)
        return value, {"bbox/AP": value}

    def value(self, architecture: Architecture) -> float:
        return float(sum(self.table[i, c] for i, c in enumerate(architecture)))

    @property
    def optimum(self) -> tuple[int, ...]:
        return tuple(self.table.argmax(axis=1).tolist())


@pytest.fixture
def separable() -> type[Separable]:
    return Separable


@pytest.fixture
def open_ledger(tmp_path: Path) -> Callable[..., Ledger]:
    """open_ledger(space, resume=..., seed=...) -> the ledger of this test's folder."""

    def get(space: SearchSpace, *, resume: bool = False, seed: int = 0) -> Ledger:
        header = make_header(space, "c0ffee", "5eed", seed)
        return Ledger(tmp_path / "ledger.jsonl", header, space, resume=resume)

    return get


@pytest.fixture
def make_evaluator(open_ledger, cost) -> Callable[..., Evaluator]:
    """make_evaluator(space, fitness) -> an Evaluator in this process, on a new ledger."""

    def make(space: SearchSpace, fitness, **kwargs) -> Evaluator:
        return Evaluator(InProcessExecutor(fitness), cost(space), open_ledger(space, **kwargs))

    return make


def made(architecture: Architecture, fitness: float | None, **changes) -> Evaluation:
    is_ok = fitness is not None
    fields = {
        "status": "ok" if is_ok else "failed",
        "metrics": {"bbox/AP": fitness} if is_ok else {},
        "error": None if is_ok else "ValueError: no",
    }
    figures = {"flops": 100, "params": 10, "generation": 0, "seconds": 0.125}
    return Evaluation(architecture, fitness=fitness, **{**fields, **figures, **changes})


@pytest.fixture
def record() -> Callable[..., Evaluation]:
    """record(space, choices, fitness, ...) -> an Evaluation with made-up figures."""
    return lambda space, choices, fitness=1.0, **changes: made(
        Architecture(space, tuple(choices)), fitness, **changes
    )


@pytest.fixture
def instant():
    """A fake Evaluate without ledger: instant(fitness) -> (evaluate, list of its batches)."""

    def make(fitness: Callable[[Architecture], float | None], flops=lambda a: 1):
        batches: list[SimpleNamespace] = []

        def evaluate(architectures, generation):
            batches.append(SimpleNamespace(generation=generation, architectures=architectures))
            out = []
            for a in architectures:
                value = fitness(a)
                error = {} if value is not None else {"error": f"ValueError: bad {a}"}
                out.append(made(a, value, flops=flops(a), generation=generation, **error))
            return out

        return evaluate, batches

    return make
