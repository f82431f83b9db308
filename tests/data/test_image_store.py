"""Images kept in memory up to a limit, then on the disk."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from detnas_d2.data import DataError
from detnas_d2.data.image_store import ImageStore


def images(count=6):
    generator = torch.Generator().manual_seed(0)
    return list(torch.randint(256, (count, 3, 5, 7), dtype=torch.uint8, generator=generator))


@pytest.mark.parametrize("limit", [0, 210, 10**6])
def test_values_are_kept(tmp_path, limit, monkeypatch):
    monkeypatch.setattr("detnas_d2.data.image_store._BLOCK", 4096)
    store = ImageStore(limit, tmp_path / "cache")
    originals, fitting = images(), min(limit // 105, 6)
    kept = [store.keep(x) for x in originals]
    assert store.in_memory == fitting * 105 and store.on_disk == (6 - fitting) * 105
    assert all(a.untyped_storage().nbytes() == 105 for a in kept[:fitting])  # not of the batch
    for x in originals[fitting:]:
        x.zero_()  # those on the disk are no views of them
    assert all(torch.equal(a, b) for a, b in zip(kept, images(), strict=True))
    large = [torch.randn(3, n, 11) for n in (2, 40, 5, 200, 1)]  # of another type
    assert all(torch.equal(store.keep(x), x) for x in large)
    # the file has no name
    assert not (tmp_path / "cache").exists() or os.listdir(tmp_path / "cache") == []


def test_what_data_workers_send_keeps_no_file_open(tmp_path):
    """Each tensor of theirs does, and 1,024 open files are a common limit."""
    loader = torch.utils.data.DataLoader(images(40), batch_size=None, num_workers=1)
    store = ImageStore(10**6, tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    kept = [store.keep(x) for x in loader]
    assert all(torch.equal(a, b) for a, b in zip(kept, images(40), strict=True))
    assert len(os.listdir("/proc/self/fd")) < before + 20


def test_a_disk_that_takes_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="256 MiB on the disk of .*Not a directory"):
        ImageStore(0, tmp_path / "file" / "cache").keep(images()[0])

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left.*raise search.fitness.cache_memory"):
        ImageStore(0, tmp_path).keep(images()[0])
