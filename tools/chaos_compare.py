"""What a run that was killed and resumed left, beside what the uninterrupted one left."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from detnas_d2.engine.metrics import TIMES

NOT_COMPARED = (".lock", "log.txt", "events.", "report", "search.json")  # the last names folders
_CHECKPOINT = re.compile(r"model_\d+\.pth")
_NO_EFFECT = re.compile(rb"\b(output_dir|num_workers|workers):")  # lines of config.yaml


def differences(expected: Path, found: Path) -> Iterator[str]:
    """A line for each difference: file, key, the expected and the found value.

    Compared bit for bit are every tensor and number of every checkpoint, metrics.json without its
    times, ledger.jsonl in any order and without seconds and checksums, and all other files but
    logs, the report, which tells times, and search.json. A file too many (a temporary one, a
    checkpoint that should be gone) is a difference; but a training that SIGTERM stopped keeps a
    checkpoint of another iteration in the place of one.
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
        a, b = (dict(_values(name, _read(folder / name))) for folder in (expected, found))
        for key in {**a, **b}:
            if a.get(key) != b.get(key):
                yield f"{key}: {a.get(key)} and {b.get(key)}"


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
    """JSON lines without some keys, as text."""
    for line in content.splitlines():
        record = json.loads(line)
        yield json.dumps({k: v for k, v in record.items() if k not in without}, sort_keys=True)


def _values(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """All that is in a value, by dotted keys, as text: two NaNs are then equal."""
    if isinstance(value, torch.Tensor):
        content = value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        shown = f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(content).hexdigest()[:16]}"
        yield key, shown
    elif isinstance(value, (Mapping, list, tuple)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        yield key, f"{type(value).__name__} of {len(value)}"
        for name, item in items:
            yield from _values(f"{key}: {name}", item)
    else:
        yield key, repr(value)
