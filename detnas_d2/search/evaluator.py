"""Evaluation of a batch of architectures, with the ledger in front of the executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..space import Architecture, CostTable
from .errors import SearchError
from .executor import Executor
from .ledger import Ledger
from .progress import Progress
from .record import FAILED, OK, Evaluation

FAILED_IN_A_ROW = 20
"""So many failed candidates, one behind the other, and 2 more for each worker, end the search: the
fault is hardly theirs. What fails, fails fast, so more workers see more of them."""

# (architectures, generation) -> their evaluations, in the same order
Evaluate: TypeAlias = Callable[[Sequence[Architecture], int], list[Evaluation]]


class Evaluator:
    """What the searches call: architectures in, evaluations out, each evaluated once for ever.

    Args:
        executor: where the fitness function runs.
        cost: gives multiply-adds and parameters of the records.
        ledger: answers what it holds; everything else is appended to it before it counts.
        progress: told of every candidate.
        workers: of the executor, see FAILED_IN_A_ROW.
        retry_failed: evaluate again, once, what the ledger holds as failed by now. Otherwise, and
            for what fails later, it answers for failed candidates too.
    """

    def __init__(
        self,
        executor: Executor,
        cost: CostTable,
        ledger: Ledger,
        progress: Progress | None = None,
        *,
        workers: int = 0,
        retry_failed: bool = False,
    ):
        self._executor = executor
        self._cost = cost
        self._ledger = ledger
        self._progress = progress
        self._most_failures = FAILED_IN_A_ROW + 2 * workers
        self._failures = 0
        self._to_retry = {e.architecture for e in ledger if retry_failed and not e.ok}

    def __call__(self, architectures: Sequence[Architecture], generation: int) -> list[Evaluation]:
        """The evaluations in the order of the architectures, which may repeat; all in the ledger.

        Raises LedgerError if a result can't be written, SearchError after too many failures in a
        row, and what the executor raises.
        """
        found = {a: None if a in self._to_retry else self._ledger.get(a) for a in architectures}
        if self._progress:
            self._progress.begin_batch([e for e in found.values() if e is not None])
        for measurement in self._executor.run([a for a, e in found.items() if e is None]):
            architecture, error = measurement.architecture, measurement.error
            evaluation = Evaluation(
                architecture=architecture,
                status=OK if error is None else FAILED,
                fitness=measurement.fitness,
                metrics=measurement.metrics,
                flops=self._cost.flops(architecture),
                params=self._cost.params(architecture),
                generation=generation,
                seconds=measurement.seconds,
                error=error,
            )
            self._ledger.append(evaluation)
            self._to_retry.discard(architecture)
            found[architecture] = evaluation
            if self._progress:
                self._progress.evaluated(evaluation)
            self._stop_if_all_fail(evaluation)
        evaluations = [found[a] for a in architectures]
        missing = [str(a) for a, e in found.items() if e is None]
        if missing:
            raise RuntimeError(f"the executor gave no result for {'; '.join(missing)}")
        return [e for e in evaluations if e is not None]

    def _stop_if_all_fail(self, evaluation: Evaluation) -> None:
        self._failures = 0 if evaluation.ok else self._failures + 1
        if self._failures == self._most_failures:
            raise SearchError(
                f"{self._failures} candidates in a row failed, so the fault is hardly theirs; the "
                f"last error: {evaluation.error}. The log has the tracebacks. Mend it, then go on "
                "with --resume --retry-failed; or with --resume, if they are to count as failed."
            )
