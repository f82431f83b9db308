#!/usr/bin/env python3
"""Kill trainings and searches at random moments, go on with --resume, compare the results.

    python tools/chaos.py                      # make chaos: 100 kills of all kinds
    python tools/chaos.py --short --kills 6    # as CI does: two steps, none started from scratch

Each step of tiny_steps.py is run uninterrupted first. Then, in other folders, it is killed with
SIGKILL, gone on with, killed again, and so on, until a run comes to its end before its kill. What
is then in the folder has to be what the uninterrupted run left, bit for bit (chaos_compare.py).
The moments are uniform over the length of the uninterrupted run, or those at which it writes a
file (chaos_kinds.py). A resume that fails and any difference are printed, all folders are kept,
and the exit status is 1. The last line is {"kills": N, "identical": true}.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos_chain import Chaos
from chaos_kinds import FULL, SHORT, STEPS, plan
from chaos_runs import preload
from tiny_steps import write_tiny_steps

from detnas_d2.commands import add_debug, ending

POLL = 0.0003  # seconds
GIVE_UP = 5  # failures


def side_by_side(jobs: int, take: Callable[[], Iterator[None] | None]) -> None:
    """Advance so many generators at a time; `take` gives the next one, None while there is none."""
    running: list[Iterator[None]] = []
    while True:
        while len(running) < jobs and (task := take()) is not None:
            running += _advanced([task])
        if not running:
            return
        running = _advanced(running)
        time.sleep(POLL)


def _advanced(tasks: list[Iterator[None]]) -> list[Iterator[None]]:
    """Those that did not come to their end."""
    ended = object()
    return [task for task in tasks if next(task, ended) is not ended]


def run(chaos: Chaos, jobs: int) -> None:
    """The uninterrupted runs, then chains of kills until none is left."""
    kills = {kill.way: kill for kill in chaos.kills}.values()
    last = max(list(STEPS).index(kill.step) for kill in kills)
    for step in list(STEPS)[: last + 1]:  # each reads what those before it wrote
        for _ in chaos.measure(step):
            time.sleep(POLL)
    measures = [chaos.measure(kill.step, kill.kind) for kill in kills]
    side_by_side(jobs, lambda: measures.pop() if measures else None)
    numbers = itertools.count()

    def next_chain() -> Iterator[None] | None:
        if not chaos.kills or len(chaos.failures) >= GIVE_UP:
            return None
        return chaos.chain(f"chain{next(numbers):03d}")

    if not chaos.failures:
        side_by_side(jobs, next_chain)


def main(count: int, seed: int, jobs: int, short: bool) -> bool:
    """Returns whether all kills were survived."""
    start = time.monotonic()
    print(f"{count} kills, seed {seed}, {jobs} at a time", flush=True)
    preload("train_net.py", "search_net.py")
    folder = Path(tempfile.mkdtemp(prefix="chaos_"))
    write_tiny_steps(folder)
    kills = plan(count, SHORT if short else FULL)
    chaos = Chaos(folder, kills, seed)
    try:
        run(chaos, jobs)
    finally:
        chaos.close()
    survived = chaos.survived.total()
    for kind, number in sorted(chaos.survived.items()):
        print(f"{number:4}  {kind}")
    print(f"{survived} of {count} kills survived in {time.monotonic() - start:.0f} s; ", end="")
    print(f"{chaos.half_written} of them left a file half-written")
    identical = survived == count and not chaos.failures
    if identical:
        shutil.rmtree(folder)
    else:
        print(f"seed {seed}; {len(chaos.failures)} failures, see above; all is kept in {folder}")
    print(json.dumps({"kills": survived, "identical": identical}))
    return identical


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, a core each")
    parser.add_argument("--short", action="store_true", help="kinds that take 2 seconds a kill")
    args = add_debug(parser).parse_args()
    with ending("chaos.py", debug=args.debug):
        sys.exit(not main(args.kills, args.seed, args.jobs, args.short))
