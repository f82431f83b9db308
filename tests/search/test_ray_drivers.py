"""Searches on workers as programs of their own: interrupted, and on a cluster that shrinks."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import light_search
import pytest
from faulty_fitness import PYTHONPATH, is_alive, starts, value, wait_until

from detnas_d2.search import read_ledger

pytest.importorskip("ray")
RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")  # the command ray


@pytest.fixture
def start(tmp_path):
    """start(log, command, ...) -> a process in a group of its own, which ends with the test."""
    started = []
    folder = tempfile.mkdtemp(prefix="ray")  # Ray's sockets allow no long path

    def run(log: str, *command: str | Path) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([PYTHONPATH, *filter(None, sys.path)]),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_TMPDIR": folder,
        }
        with open(tmp_path / log, "wb") as f:
            process = subprocess.Popen(
                command, env=environment, stdout=f, stderr=f, start_new_session=True
            )
        started.append(process)
        return process

    yield run
    for process in reversed(started):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def search(start, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    program = light_search.__file__
    return start(f"{folder.name}.log", sys.executable, program, folder, *arguments)


def lines(folder: Path) -> int:
    ledger = folder / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def is_complete(folder: Path) -> bool:
    _, found = read_ledger(folder / "ledger.jsonl", light_search.SPACE)
    return len(found) == 27 and all(e.fitness == value(e.architecture) for e in found)


def test_signals_end_all_and_lose_nothing(start, tmp_path):
    """SIGTERM to the driver; Ctrl-C, which all of a terminal get."""
    folders = [tmp_path / name for name in ("term", "int")]
    drivers = [search(start, folder, "1", "0.5") for folder in folders]
    signals = ((os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT))
    for driver, folder, (send, number) in zip(drivers, folders, signals, strict=True):
        wait_until(lambda driver=driver, folder=folder: driver.poll() or lines(folder) > 2, 100)
        send(driver.pid, number)  # at once: the other may begin after this one's end
    assert [driver.wait(30) for driver in drivers] == [-signal.SIGINT] * 2  # KeyboardInterrupt
    for folder in folders:
        assert 2 < lines(folder) < 28
        assert not any(map(is_alive, starts(folder)))


def test_a_machine_leaves_a_cluster(start, tmp_path):
    """With no retries: its candidate is evaluated elsewhere, and that is no failed attempt."""
    node = ("--num-cpus=1", "--num-gpus=0", "--block")
    start("head.log", *RAY, "start", "--head", "--port=0", "--include-dashboard=false", *node)
    log = tmp_path / "head.log"
    wait_until(lambda: "ray start --address" in log.read_text(), 100)
    address = re.search(r"ray start --address='(\S+)'", log.read_text())[1]
    machine = start("machine.log", *RAY, "start", f"--address={address}", *node)
    wait_until(lambda: "Ray runtime started" in (tmp_path / "machine.log").read_text(), 100)

    folder = tmp_path / "search"
    driver = search(start, folder, "2", "0.4", address)
    wait_until(lambda: driver.poll() or (len(starts(folder)) == 2 and lines(folder) > 4), 100)
    os.killpg(machine.pid, signal.SIGKILL)
    assert driver.wait(100) == 0, (tmp_path / "search.log").read_text()
    assert is_complete(folder)
    assert "was lost" in (tmp_path / "search.log").read_text()


def test_no_cluster_at_the_address(start, tmp_path):
    driver = search(start, tmp_path / "search", "1", "0.1", "127.0.0.1:1")
    assert driver.wait(30) == 1
    message = "SearchError: The Ray cluster at '127.0.0.1:1' can't be reached: "
    assert message in (tmp_path / "search.log").read_text()
