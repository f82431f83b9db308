"""A fitness in phases, whose units may be shared out among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A part of what a candidate's fitness takes.

    run: (architecture, numbers of some units, what each of `needs` gave) -> a result for each of
    these units. It has to be a pure function, and no unit's result may depend on which others
    are run with it; that is what makes the fitness the same on any number of processes.
    units: how many there are; at least 1.
    needs: the numbers of earlier phases whose results it gets: a list each, in the units' order.
    """

    run: Callable[..., Sequence[Any]]
    units: int = 1
    needs: tuple[int, ...] = ()


class SplitFitness:
    """A fitness function in phases, one after the other.

    Called with an architecture, it runs all units of all phases here. Workers share a candidate:
    each runs some units of a phase. The last phase has one unit, whose result is (fitness, every
    figure by name). Results travel between processes, by pickle.

    Raises:
        ValueError: a phase without units, a last one with more than one, or one that needs others
            than earlier ones.
    """

    def __init__(self, phases: Iterable[Phase]) -> None:
        self.phases = tuple(phases)
        if not all(phase.units >= 1 for phase in self.phases):
            raise ValueError("Each phase of a fitness needs at least one unit.")
        if [phase.units for phase in self.phases][-1:] != [1]:
            raise ValueError("The last phase of a fitness has one unit, which gives the fitness.")
        if not all(0 <= n < i for i, phase in enumerate(self.phases) for n in phase.needs):
            raise ValueError("A phase of a fitness can need only earlier ones, numbered from 0.")

    def __call__(self, architecture: Any) -> Any:
        results: list[Sequence[Any]] = []
        for phase in self.phases:
            given = (results[number] for number in phase.needs)
            results.append(phase.run(architecture, range(phase.units), *given))
        return results[-1][0]


def in_phases(fitness: Callable[[Any], Any]) -> SplitFitness:
    """The fitness itself if it is in phases; any other is all done in one."""
    if isinstance(fitness, SplitFitness):
        return fitness
    return SplitFitness([Phase(lambda architecture, _: [fitness(architecture)])])
