"""Decoded images kept as bytes: in memory up to a limit, the rest in a file on the disk."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from .errors import DataError

_BLOCK = 256 * 2**20  # bytes by which the file, or page-locked memory, grows
_ALIGNMENT = 64


class ImageStore:
    """Keeps tensors for as long as they are used; what is over the limit lies on the disk.

    The file has no name: it is gone when the process ends, however that ends. It is mapped into
    memory, so that the system holds as much of it in its cache as there is room for.

    Args:
        memory_limit: bytes.
        folder: where the file lies; not a RAM disk. Made where missing.
        pin: page-locked memory for what is kept in memory, for a CUDA device.
    """

    def __init__(
        self, memory_limit: int, folder: str | os.PathLike[str], *, pin: bool = False
    ) -> None:
        self.in_memory = 0
        self.on_disk = 0
        self._limit = memory_limit
        self._folder = Path(folder)
        self._pinned = _Blocks(_page_locked) if pin else None
        self._spilled = _Blocks(self._mapped_file)

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same values, in memory or on the disk.

        Raises:
            DataError: the disk is full or the folder can't be written.
        """
        if self.in_memory + tensor.nbytes <= self._limit:
            self.in_memory += tensor.nbytes
            if self._pinned is not None:
                return self._pinned.keep(tensor)
            # a data worker's tensor holds an open file, and a place in /dev/shm, while it lives;
            # one of a batch holds the whole batch
            is_part = tensor.untyped_storage().nbytes() > tensor.nbytes
            return tensor.clone() if tensor.is_shared() or is_part else tensor
        self.on_disk += tensor.nbytes
        return self._spilled.keep(tensor)

    def _mapped_file(self, size: int) -> torch.Tensor:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                # writing to a mapped file on a full disk would be a SIGBUS: take the room now
                os.posix_fallocate(file.fileno(), 0, size)
                return torch.frombuffer(mmap.mmap(file.fileno(), size), dtype=torch.uint8)
        except OSError as error:
            raise DataError(
                f"The images need {size / 2**20:.0f} MiB on the disk of {str(self._folder)!r}: "
                f"{error.strerror}. Free some room there, or raise search.fitness.cache_memory "
                f"(now {self._limit / 2**30:.2f} GiB) if the machine has the memory."
            ) from error


class _Blocks:
    """Copies of tensors, one behind the other in large blocks of bytes that `new_block` gives."""

    def __init__(self, new_block: Callable[[int], torch.Tensor]) -> None:
        self._new_block = new_block
        self._block = torch.empty(0, dtype=torch.uint8)
        self._used = 0

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._used + tensor.nbytes > len(self._block):
            self._block = self._new_block(max(_BLOCK, tensor.nbytes))
            self._used = 0
        place = self._block[self._used : self._used + tensor.nbytes]
        self._used += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
        return place.view(tensor.dtype).view(tensor.shape).copy_(tensor)


def _page_locked(size: int) -> torch.Tensor:
    # in blocks: PyTorch rounds what it page-locks up to a power of two, image by image up to double
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)
