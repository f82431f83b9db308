"""What a run that was killed and resumed left, beside what the uninterrupted one left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from detnas_d2.engine.metrics import TIMES

NOT_COMPARED = (".lock", "log.txt", "events.", "report")
_CHECKPOINT = re.compile(r"model_\d+\.pth")
_NO_EFFECT = re.compile(rb"\b(output_dir|num_workers|workers):")  # lines of config.yaml


def differences(expected: Path, found: Path) -> Iterator[str]:
    """A line for each difference: file, key, the expected and the found value.

    Compared bit for bit are every tensor and number of every checkpoint, metrics.json without its
    times, ledger.jsonl in any order and without seconds and checksums, and all other files but
    logs and the report, which tells times. A file too many (a temporary one, a checkpoint that
    should be gone) is a difference; but a training that SIGTERM stopped keeps a checkpoint of
    another iteration in the place of one.
    """
    names = [
        {p.name for p in folder.iterdir() if not p.name.startswith(NOT_COMPARED)}
        for folder in (expected, found)
    ]
    counts = [len(list(filter(_CHECKPOINT.fullmatch, x))) for x in names]
    if counts[0] != counts[1]:
        yield f"{counts[0]} and {counts[1]} checkpoints of an iteration"
    for name in sorted(names[0] ^ names[1]):
        if not _CHECKPOINT.fullmatch(name):
            yield f"{name} is {'missing' if name in names[0] else 'left over'}"
    for name in sorted(names[0] & names[1]):
        yield from _differences(name, *(_read(folder / name) for folder in (expected, found)))


def _read(path: Path) -> Any:
    if path.suffix == ".pth":
        return torch.load(path, weights_only=True)
    content = path.read_bytes()
    if path.name == "metrics.json":
        return list(_lines(content, TIMES))
    if path.name == "ledger.jsonl":
        header, *lines = _lines(content, ("seconds", "crc32"))
        return [header, *sorted(lines)]
    if path.name == "config.yaml":
        return [line for line in content.splitlines() if not _NO_EFFECT.search(line)]
    return content


def _lines(content: bytes, without: Iterable[str]) -> Iterator[str]:
    """JSON lines without some keys, as text: two NaNs are then equal."""
    for line in content.splitlines():
        record = json.loads(line)
        yield json.dumps({k: v for k, v in record.items() if k not in without}, sort_keys=True)


def _differences(key: str, a: Any, b: Any) -> Iterator[str]:
    if type(a) is not type(b):
        yield f"{key}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, torch.Tensor):
        yield from _tensors(key, a, b)
    elif isinstance(a, Mapping):
        if list(a) != list(b):
            yield f"{key}: keys {list(a)} and {list(b)}"
        for name in a:
            if name in b:
                yield from _differences(f"{key}: {name}", a[name], b[name])
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            yield f"{key}: {len(a)} and {len(b)} items"
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from _differences(f"{key}: {i}", x, y)
    elif repr(a) != repr(b):  # two NaNs are equal
        yield f"{key}: {a!r} and {b!r}"


def _tensors(key: str, a: torch.Tensor, b: torch.Tensor) -> Iterator[str]:
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        yield f"{key}: {a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}"
        return
    a, b = (t.contiguous().flatten() for t in (a, b))
    if torch.equal(a.view(torch.uint8), b.view(torch.uint8)):
        return
    where = (a != b).nonzero()[:1].flatten().tolist() or [0]  # a NaN or the sign of a zero
    count = int((a != b).sum())
    yield f"{key}: {count} of {a.numel()} elements, first {a[where[0]]!r} and {b[where[0]]!r}"
