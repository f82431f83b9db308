"""Memory that a process keeps."""

from __future__ import annotations

import os
import subprocess
import sys

COUNT_FAULTS = """
import resource, torch
from detnas_d2.evaluation.cpu import keep_freed_memory

def faults():
    for _ in range(2):
        torch.zeros(2**22).add_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(2**22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory()
print(before, faults())
"""


def test_freed_memory_is_used_again():
    paths = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-W", "ignore", "-c", COUNT_FAULTS]
    environment = {**os.environ, "PYTHONPATH": paths, "MALLOC_MMAP_THRESHOLD_": "131072"}
    text = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    before, after = map(int, text.split())
    assert after * 10 < before
