"""Every benchmark runs, at a size of seconds and on made data, and keeps its contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detnas_d2.data import DigitsParameters, write_digits

ROOT = Path(__file__).resolve().parents[2]
RUN = {
    "benchmarks/gpu.py": "--tiny classification candidate --output gpu",
    "benchmarks/bm_candidate.py": "--head fpn --amp --rounds 1 --tiny",
    "benchmarks/bm_supernet_step.py": "--rounds 1 --only classifier",
    "benchmarks/bm_workers.py": "--rounds 1",
    "benchmarks/bm_cluster.py": "--workers 2 --candidates 50 --mean 0.01",
    "benchmarks/bm_search.py": "--seeds 1",
    "benchmarks/bm_space.py": "--rounds 1 --recorded 1000",
}
"""The arguments that make them small."""


def test_no_benchmark_is_forgotten():
    files = (ROOT / "benchmarks").glob("*.py")
    programs = {f"benchmarks/{f.name}" for f in files if "\nif __name__ ==" in f.read_text()}
    assert programs == {*RUN}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> Path:
    """A small data set of three classes in the place of BCCD."""
    folder = tmp_path_factory.mktemp("datasets")
    made = DigitsParameters(classes=(0, 1, 2), images=(6, 4, 4), cls_images_per_class=(1, 1))
    write_digits(folder / "bccd", made)
    for file in (folder / "bccd" / "annotations").iterdir():
        text = file.read_text()
        for digit, cell in (("zero", "RBC"), ("one", "WBC"), ("two", "Platelets")):
            text = text.replace(f'"{digit}"', f'"{cell}"')
        file.write_text(text)
    return folder


@pytest.mark.parametrize("program", RUN)
def test_a_benchmark_runs(program, datasets, tmp_path):
    """Alone, from any folder; the last line of bm_NAME.py is its JSON object."""
    done = subprocess.run(
        [sys.executable, str(ROOT / program), *RUN[program].split()],
        cwd=tmp_path,
        env={
            **os.environ,
            "DETECTRON2_DATASETS": str(datasets),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    last = json.loads(done.stdout.splitlines()[-1], parse_constant=pytest.fail)  # NaN is no JSON
    if name := re.fullmatch(r"benchmarks/bm_(\w+)\.py", program):
        assert last["name"] == name[1] and last["versions"] and last["machine"]
        assert set(last) - {"name", "versions", "machine"}, "it has no figure"
