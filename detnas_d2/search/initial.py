"""Architectures that someone names, and those that a search begins with."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..space import Architecture, SearchSpace
from .errors import SearchError
from .ledger_format import read_ledger
from .limits import CostLimits
from .record import rank

logger = logging.getLogger(__name__)

FilePath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Initial:
    """What a search begins with, all of it under the limit, and how the log tells of it."""

    architectures: tuple[Architecture, ...] = ()
    message: str = ""

    @property
    def depends_on(self) -> dict[str, str]:
        """For the ledger's header: a file that it was read from may change."""
        return {"initial": fingerprint(self.architectures)} if self.architectures else {}

    def log(self) -> None:
        if self.message:
            logger.info("%s", self.message)


def first_architectures(
    space: SearchSpace,
    limit: CostLimits,
    count: int,
    initial: Any = None,
    initial_ledger: FilePath | None = None,
) -> Initial:
    """The first of a search's candidates, at most `count`.

    Args:
        initial: see parse_architectures.
        initial_ledger: the ledger of another search of this space, whose best ones follow, as many
            as there is room for. Its fitness, maybe of another checkpoint, ranks them and is used
            for nothing else. Those that failed or are over the limit are passed over.

    Raises:
        LimitError: nothing meets the limit.
        ArchitectureError, SearchError: as parse_architectures; more than `count` in `initial`; a
            ledger that can't be read.
        LedgerError: a ledger that is damaged or of another space.
    """
    limit.witness()  # a limit that nothing meets is refused here
    given = parse_architectures(initial, space, limit)
    if len(given) > count:
        raise SearchError(
            f"search.initial has {len(given)} architectures, but the first population has room "
            f"for {count}; leave some out, or make it larger"
        )
    if initial_ledger is None:
        message = f"The search begins with {len(given)} given architectures." if given else ""
        return Initial(tuple(given), message)
    name = os.fspath(initial_ledger)
    try:
        _, recorded = read_ledger(initial_ledger, space)
    except OSError as error:
        raise SearchError(
            f"search.initial_ledger: can't read {name!r} ({error.strerror}). Give the ledger.jsonl "
            "of another search, or null; a search that began with one can go on only with it."
        ) from error
    ranked = [e.architecture for e in rank(recorded)]
    allowed = [a for a in ranked if limit.meets(a)]
    first = tuple(dict.fromkeys([*given, *allowed]))[:count]
    failed, over = len(recorded) - len(ranked), len(ranked) - len(allowed)
    return Initial(
        first,
        f"The search begins with {len(given)} given architectures and the best "
        f"{len(first) - len(given)} of the {len(recorded)} in {name!r} ({failed} failed there, "
        f"{over} are over this search's limit). All are evaluated anew.",
    )


def parse_architectures(values: Any, space: SearchSpace, limit: CostLimits) -> list[Architecture]:
    """The different architectures among `values`, in their order.

    Args:
        values: a sequence of architectures, each in a form that ``Architecture.parse`` takes; or a
            single one; None for none.

    Raises:
        ArchitectureError: one that is not of the space.
        SearchError: some are over the limit; it names them.
    """
    if values is None:
        return []
    values = [values] if _is_single(values) else list(values)
    parsed = list(dict.fromkeys(Architecture.parse(a, space) for a in values))
    over = [a for a in parsed if not limit.meets(a)]
    if over:
        raise SearchError(
            f"over the search's limit: architecture {'; '.join(map(str, over))}. Raise the limit, "
            "or leave it out."
        )
    return parsed


def fingerprint(architectures: Sequence[Architecture]) -> str:
    """Number and SHA-256 of architectures in their order, for a ledger's header."""
    text = ";".join(map(str, architectures))
    return f"{len(architectures)} architectures, {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _is_single(values: Any) -> bool:
    if isinstance(values, (str, os.PathLike, Mapping, Architecture)):
        return True
    return isinstance(values, Iterable) and any(isinstance(v, int) for v in values)
