"""benchmarks/gpu.sh with stand-ins for its parts; smoke.py runs the real ones at tiny size."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"
# PART WORK FIGURES: notes the part, fails or hangs where told
PYTHON = """#!/usr/bin/env bash
echo "$2 ${*:5}" >>"$NOTES"
case $2 in
$FAILS) echo "some output" && echo "the reason" && exit 7 ;;
$HANGS) sleep 60 ;;
esac
echo "{\\"part\\": \\"$2\\"}" >>"$4"
"""
PARTS = ["candidate", "steps", "mixed", "classification", "resume", "worker"]


@pytest.fixture
def run(tmp_path):
    """run(arguments) -> status, console, parts that ran, records of gpu.jsonl."""
    python, notes = tmp_path / "python", tmp_path / "notes"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def run(*arguments: str, fails: str = "-", hangs: str = "-", script: Path = SCRIPT):
        notes.write_text("")
        done = subprocess.run(
            [str(script), *arguments],
            env={
                **os.environ,
                **{"PYTHON": str(python), "NOTES": str(notes), "FAILS": fails, "HANGS": hangs},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        figures = tmp_path / "gpu" / "gpu.jsonl"
        records = figures.read_text().splitlines() if figures.exists() else []
        return done.returncode, done.stdout, notes.read_text().splitlines(), records

    return run


def test_all_parts(run, tmp_path):
    status, _, parts, records = run("--tiny", str(tmp_path / "gpu"))
    assert status == 0 and parts == [f"{p} --tiny" for p in ["check", "data", *PARTS]]
    assert [json.loads(x)["part"] for x in records] == ["check", "data", *PARTS]


def test_a_part_that_fails_stops_no_other(run, tmp_path):
    status, console, parts, records = run(str(tmp_path / "gpu"), fails="steps")
    assert status == 1 and [p.strip() for p in parts] == ["check", "data", *PARTS]
    assert re.search(r"(?m)^steps: FAILED with status 7 after \d of 80 s: the reason$", console)
    assert console.splitlines()[-1] == "FAILED: steps"
    assert json.loads(records[3]) == {"part": "steps", "failed": 7}


def test_without_what_it_needs_nothing_runs(run, tmp_path):
    status, console, parts, _ = run(str(tmp_path / "gpu"), fails="check")
    assert status == 1 and [p.strip() for p in parts] == ["check"]
    assert console.count("\n") == 1 and "the reason" in console


def test_chosen_parts(run, tmp_path):
    status, _, parts, _ = run(str(tmp_path / "gpu"), "resume", "worker")
    assert status == 0 and [p.strip() for p in parts] == ["check", "data", "resume", "worker"]
    status, console, _, _ = run(str(tmp_path / "gpu"), "coffee")
    assert status == 1 and "there is no part 'coffee'" in console


def test_the_limits(run, tmp_path):
    """All together under ten minutes; a part that hangs is ended."""
    text = SCRIPT.read_text()
    limits = [int(x) for x in re.findall(r"part [a-z]+ (\d+)", text)]
    assert len(limits) == 8 and sum(limits) < 600
    (tmp_path / "benchmarks").mkdir()
    script = tmp_path / "benchmarks" / "gpu.sh"
    script.write_text(text.replace("part steps 80", "part steps 1"))
    script.chmod(0o755)
    status, console, parts, _ = run(str(tmp_path / "gpu"), hangs="steps", script=script)
    assert status == 1 and len(parts) == 8
    assert re.search(r"steps: FAILED with status 124 after \d+ of 1 s", console)
