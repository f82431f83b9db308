"""Seeds of keys, and random states that are given back."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch

from detnas_d2.data import DataError, derive_seed, seeded


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_keys_that_differ_in_anything_give_other_seeds():
    keys = [(0,), (0, 0), (0, 0, 0), (1, 0), (0, 1), (2**32,), (0, 2**32), (1,), (2**63,)]
    keys += [(3, i) for i in range(2000)]
    seeds = [derive_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)
    # All bits take part: bits of a fair seed are set half of the time.
    bits = (np.array(seeds)[:, None] >> np.arange(63) & 1).mean(axis=0)
    assert np.all(np.abs(bits - 0.5) < 0.06)
    # the seed is that of every process and version
    assert derive_seed(7, 1, 2**32 + 90000) == 7989989239577344531
    for key in ((-1,), (0, 2**64)):
        with pytest.raises(DataError, match=r"0 to 2\*\*64 - 1"):
            derive_seed(*key)


@pytest.mark.parametrize("fails", [False, True])
def test_seeded_is_a_function_of_the_key_and_restores_all_three_states(fails):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    expected = draws()
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    drawn = []
    for key in ((5, 1), (5, 2), (5, 1)):
        with contextlib.suppress(KeyError), seeded(*key):
            with seeded(9):
                draws()
            drawn.append(draws())
            if fails:
                raise KeyError("inside")
    assert drawn[0] == drawn[2] and not {*drawn[0]} & {*drawn[1]}
    assert draws() == expected
