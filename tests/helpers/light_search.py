"""A search of 27 light candidates on workers, as a program: the driver that tests kill.

python light_search.py FOLDER WORKERS SECONDS_A_CANDIDATE [ADDRESS]; it goes on with the ledger
that is in the folder.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import faulty_fitness
import numpy as np
from faulty_fitness import PYTHONPATH

from detnas_d2.search import Evaluator, Ledger, RandomSearch, RayExecutor, make_header
from detnas_d2.space import CostTable, SearchSpace, ShuffleChoice, Stage, XceptionChoice

CHOICES = (ShuffleChoice(3), ShuffleChoice(5), XceptionChoice())
SPACE = SearchSpace("tiny", 8, (Stage(16, 2), Stage(32, 1)), CHOICES)


def main(folder: Path, workers: int, seconds: str, address: str | None = None) -> None:
    search = RandomSearch(SPACE, count=27, seed=0)
    header = make_header(SPACE, "c0ffee", "5eed", 0)
    faults = {a: [f"sleep {seconds}"] * 9 for a in np.ndindex(3, 3, 3)}
    executor = RayExecutor(
        faulty_fitness.make,
        [folder, faults, np.arange(9.0)],
        workers=workers,
        address=address,
        environment={"PYTHONPATH": f"{PYTHONPATH}:${{PYTHONPATH}}"},
    )
    with Ledger(folder / "ledger.jsonl", header, SPACE, resume=True) as ledger, executor:
        search.run(Evaluator(executor, CostTable(SPACE), ledger))
    print("finished")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
