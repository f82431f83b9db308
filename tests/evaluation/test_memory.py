"""Memory that a process keeps."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

from detnas_d2.evaluation.memory import keep_freed_memory

COUNT_FAULTS = """
import resource, torch
from detnas_d2.evaluation.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
for i in range(13):
    if i == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24).add_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COUNT_FAULTS.format(keep=keep)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_freed_memory_is_used_again():
    assert faults(keep=True) * 10 < faults(keep=False)


def test_another_c_library(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert keep_freed_memory() is None
