"""A search killed with -9 at any point and resumed leaves the bytes of an uninterrupted one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import os, signal, sys

    from detnas_d2.search import *
    from detnas_d2.space import CostTable, get_space

    folder, kill_at, fraction = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    real_write, writes = os.write, 0

    def write(descriptor, data):
        # the n-th write to the ledger ends after a part of its bytes, and with it the process
        global writes
        if os.fstat(descriptor).st_ino == os.stat(folder + "/ledger.jsonl").st_ino:
            writes += 1
            if writes == kill_at:
                real_write(descriptor, data[: int(len(data) * fraction)])
                os.kill(os.getpid(), signal.SIGKILL)
        return real_write(descriptor, data)

    os.write = write
    calls = 0

    def fitness(architecture):
        global calls
        calls += 1
        if sum(architecture) % 7 == 0:
            raise ValueError("sum " + str(sum(architecture)))
        value = sum(c * (i + 1) for i, c in enumerate(architecture)) / 7
        return value, {"bbox/AP": value, "bbox/APs": float("nan")}

    space = get_space("demo")
    cost = CostTable(space)
    header = make_header(space, "config", "checkpoint", 11)
    with Ledger(folder + "/ledger.jsonl", header, space, resume=True) as ledger:
        evaluate = Evaluator(InProcessExecutor(fitness), cost, ledger)
        limit = CostLimit(cost.flops, (cost.min_flops + cost.max_flops) // 2)
        result = EvolutionarySearch(
            space, limit, population=8, generations=4, parents=3, seed=11
        ).run(evaluate)
    write_best(folder + "/best_architecture.json", result.best)
    print(calls, result.stopped_because)
    """
)


def run(folder, kill_at=0, fraction=0.0):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(kill_at), str(fraction)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def content(folder):
    ledger = (folder / "ledger.jsonl").read_bytes()
    # the search takes its time, of which the checksum tells; nothing else in the file may differ
    without_seconds = re.sub(rb'"(seconds|crc32)": [0-9.e-]+', b"", ledger)
    return without_seconds, (folder / "best_architecture.json").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "32 None\n"
    result = content(folder)
    lines = result[0].splitlines()
    assert len(lines) == 33 and any(b'"failed"' in line for line in lines)
    return result


def test_killed_again_and_again(uninterrupted, tmp_path):
    """Each run resumes the one before and is killed at its n-th write, with a part written."""
    # the first write of a run on an empty folder is the header, later there is none
    kills = [(1, 0.0), (1, 0.6), (2, 0.5), (1, 0.99), (4, 0.0), (3, 1.0), (9, 0.1), (7, 1.0)]
    lines_before = 0
    for kill_at, fraction in kills:
        killed = run(tmp_path, kill_at, fraction)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        lines = (tmp_path / "ledger.jsonl").read_bytes().count(b"\n")
        assert lines >= lines_before
        lines_before = lines
    assert 20 <= lines_before < 33
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    # nothing that the ledger had was evaluated again
    assert done.stdout == f"{33 - lines_before} None\n"
    assert content(tmp_path) == uninterrupted
