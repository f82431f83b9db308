"""Memory that a process keeps."""

from __future__ import annotations

import resource
from multiprocessing import get_context

from detnas_d2.evaluation.cpu import keep_freed_memory


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def before_and_after():
    before = faults()
    keep_freed_memory()
    faults()
    return before, faults()


def test_freed_memory_is_used_again():
    with get_context("fork").Pool(1) as pool:
        before, after = pool.apply(before_and_after)
    assert after * 10 < before
