"""Seeds derived from keys, and random states that are borrowed and given back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from detnas_d2.data.errors import DataError

_WORD = 2**32


def derive_seed(*key: int) -> int:
    """A 63-bit seed that is a function of the key alone, in every process and on every machine.

    Keys that differ in a number, in order or in length give unrelated seeds.

    Args:
        key: integers in [0, 2**64), for example (seed, purpose, step). Purposes 1 to 20 belong to
            this package (1-3 stream, 11-12 loader, 13 held-out split, 14-15 digits, 16 crops,
            17-18 splits).

    Raises:
        DataError: an integer is negative or too large.
    """
    # SeedSequence pads with zeros and cuts large numbers into words, so that (1,) and (1, 0)
    # would be one key to it; length and fixed word count keep them apart.
    words = [len(key)]
    for value in key:
        value = int(value)
        if not 0 <= value < _WORD**2:
            raise DataError(f"A seed key holds integers from 0 to 2**64 - 1, got {value} in {key}.")
        words += [value % _WORD, value // _WORD]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seeds Python's, numpy's and torch's global generators by the key, and restores them after.

    What runs inside draws numbers that depend on the key alone; what runs after it goes on as if
    the block had drawn nothing, also when the block raised. The current CUDA device's generator
    is included where CUDA is already in use.
    """
    seed = derive_seed(*key)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    # Never initialise CUDA here: this runs in forked data workers, too.
    cuda_states = {}
    if torch.cuda.is_initialized():
        device = torch.cuda.current_device()
        cuda_states[device] = torch.cuda.get_rng_state(device)
    try:
        random.seed(seed)
        np.random.seed(seed % _WORD)
        torch.default_generator.manual_seed(seed)
        if cuda_states:
            torch.cuda.manual_seed(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        for device, state in cuda_states.items():
            torch.cuda.set_rng_state(state, device)
