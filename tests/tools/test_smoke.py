"""Every benchmark runs, at a size of seconds and on made data, and keeps its contract.

What runs the other programs of benchmarks, projects and tools is named in ELSEWHERE.
"""

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
    "benchmarks/bm_workers.py": "--rounds 1 --candidates 1",
    "benchmarks/bm_cluster.py": "--workers 2 --candidates 200 --mean 0.01",
    "benchmarks/bm_space.py": "--rounds 1 --recorded 1000",
}
"""The arguments that make them small."""
ELSEWHERE = {
    "projects/DetNAS/retrain.py": "tests/integration/test_run_steps.py",
    "projects/DetNAS/reproduce.py": "tests/integration/test_reproduce.py",
    "projects/DetNAS/train_net.py": "tests/integration/test_yacs.py",
    "tools/chaos.py": "tests/integration/test_chaos.py",
    "projects/DetNAS/paper/convert_weights.py": "tests/projects/test_released.py",
    "tools/install_detectron2.py": "tests/tools/test_install_detectron2.py",
    "tools/run_steps.py": "tests/integration/test_custom.py",
}


def test_no_program_is_forgotten():
    files = [f for x in ("benchmarks", "projects", "tools") for f in (ROOT / x).rglob("*.py")]
    programs = {str(f.relative_to(ROOT)) for f in files if "\nif __name__ ==" in f.read_text()}
    assert programs == {*RUN, *ELSEWHERE}
    for program, runner in ELSEWHERE.items():
        assert Path(program).stem in (ROOT / runner).read_text()


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
