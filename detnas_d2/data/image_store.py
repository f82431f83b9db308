"""Decoded images kept as bytes: in memory up to a limit, the rest in a file on the disk."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

import torch

from .errors import DataError

_SEGMENT = 256 * 2**20  # bytes by which the file grows
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
        self._pin = pin
        self._segment: mmap.mmap | None = None
        self._used = 0

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same values, in memory or on the disk.

        Raises:
            DataError: the disk is full or the folder can't be written.
        """
        if self.in_memory + tensor.nbytes <= self._limit:
            self.in_memory += tensor.nbytes
            return tensor.pin_memory() if self._pin else tensor
        self.on_disk += tensor.nbytes
        return self._spill(tensor)

    def _spill(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._segment is None or self._used + tensor.nbytes > len(self._segment):
            self._segment = self._new_segment(max(_SEGMENT, tensor.nbytes))
            self._used = 0
        stored = torch.frombuffer(
            self._segment, dtype=tensor.dtype, count=tensor.numel(), offset=self._used
        ).view(tensor.shape)
        self._used += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
        return stored.copy_(tensor)

    def _new_segment(self, size: int) -> mmap.mmap:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                # writing to a mapped file on a full disk would be a SIGBUS: take the room now
                os.posix_fallocate(file.fileno(), 0, size)
                return mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise DataError(
                f"The images need {size / 2**20:.0f} MiB on the disk of {str(self._folder)!r}: "
                f"{error.strerror}. Free some room there, or raise search.cache_memory (now "
                f"{self._limit / 2**30:.2f} GiB) if the machine has the memory."
            ) from error
