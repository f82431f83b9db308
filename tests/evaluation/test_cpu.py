"""Memory that a process keeps."""

from __future__ import annotations

import os
import subprocess
import sys

import detnas_d2.evaluation.cpu as cpu

COUNT_FAULTS = """
import resource, runpy, sys, torch

def faults():
    for _ in range(2):
        torch.zeros(2**22).add_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(2**22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
runpy.run_path(sys.argv[1])["keep_freed_memory"]()
print(before, faults())
"""


def test_freed_memory_is_used_again():
    command = [sys.executable, "-W", "ignore", "-c", COUNT_FAULTS, cpu.__file__]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    text = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    before, after = map(int, text.split())
    assert after * 10 < before
