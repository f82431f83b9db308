"""tools/install_detectron2.py: what it refuses, what it leaves alone, and the real release."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "install_detectron2.py"


def install(*options, **environment):
    """Run it where no Detectron2 is found, but all else is there."""
    program = (
        "import importlib.util as u, runpy, sys; find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'detectron2' else find(name)\n"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(TOOL), *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_an_existing_installation_is_named_and_left_alone():
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True)
    folder = Path(importlib.util.find_spec("detectron2").origin).parent
    assert done.returncode == 0
    assert done.stdout == f"There is a Detectron2 in {folder}: nothing to do.\n"


def test_a_wrong_hash_is_refused_before_any_of_its_code_runs(tmp_path):
    ran, setup = tmp_path / "ran", tarfile.TarInfo("pb1-detectron2-0.6/setup.py")
    text = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='x', version='0.6')"
    setup.size = len(text)
    with tarfile.open(tmp_path / "pb1-detectron2-0.6.tar.gz", "w:gz") as archive:
        archive.addfile(setup, io.BytesIO(text.encode()))
    only_here = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = install(PIP_CONFIG_FILE=os.devnull, **only_here)
    assert done.returncode == 1 and "is not the file with SHA-256 5d2e9e51" in done.stderr
    assert not ran.exists()


def test_no_network_says_what_to_do():
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_FIND_LINKS": ""}
    done = install(PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0", **nowhere)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "could not download pb1-detectron2==0.6" in done.stderr
    assert "PIP_NO_INDEX=1 PIP_FIND_LINKS=" in done.stderr


def test_the_release_works_from_anywhere(tmp_path):
    """Every fix has taken, all configs and projects of the tag v0.6 are there, nothing compiled."""
    target = tmp_path / "target"
    done = install("--target", str(target))
    if "from versions: none" in done.stderr:  # what pip says when it saw no index at all
        pytest.skip("no network to get the released Detectron2 from")
    assert done.returncode == 0, done.stderr
    tool = {"__name__": "tool"}
    exec(TOOL.read_text(), tool)
    for file, changes in tool["FIXES"].items():
        text = (target / "detectron2" / file).read_text(encoding="utf-8")
        compile(text, file, "exec")
        assert all(new in text for _, new in changes), file
    package = target / "detectron2"
    zoo = [f for f in (package / "model_zoo/configs").rglob("*") if f.is_file()]
    assert sum(f.suffix != ".pyc" for f in zoo) == 128
    assert (package / "projects/point_rend").is_dir()
    assert not [f for f in target.rglob("*") if f.suffix in (".so", ".cpp")]
    program = (
        "import detectron2.data, detectron2.engine, detectron2.evaluation, detectron2.export\n"
        "from detectron2 import model_zoo as zoo; print(zoo.__file__)\n"
        "print(len(zoo.get_config('COCO-Detection/retinanet_R_50_FPN_1x.py').model))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    where, nodes = done.stdout.split()
    assert Path(where).is_relative_to(target) and int(nodes) > 5
