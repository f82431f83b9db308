"""The C library's memory, on a CPU."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for what it takes next.

    A candidate's forwards take and free the same large tensors again and again. By default glibc
    gives such memory back to the system, and each page of it is made anew: about a seventh of a
    candidate's time (benchmarks/bm_candidate.py). The process then holds the most that it ever
    used. Nothing happens where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_MMAP_THRESHOLD, 2**30)
