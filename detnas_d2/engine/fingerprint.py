"""Hashes by which a ledger knows the config, the checkpoint and the data that it belongs to."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.file_io import PathManager
from detectron2.utils.registry import locate
from omegaconf import DictConfig, OmegaConf

from ..data import DataError
from ..data.voc import image_ids
from ..trust import called_by, read_config
from .setup import CONFIG_FILE

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

NO_EFFECT = (
    "train.output_dir",
    "dataloader.*.output_dir",
    "dataloader.*.num_workers",
    # where data lie; what they hold counts in a ledger's header
    "datasets.*.image_root",
    "datasets.*.json_file",
    "search.executor",  # what of it counts stands in a ledger's header
    "search.fitness.cache_memory",
    "search.retrain",
    # they count by their content, in a ledger's header
    "search.initial_ledger",
    "search.latency_table",
)
"""Keys of a config, or patterns of them, that change no result, or count elsewhere."""

ABSENT = "(no such key)"


def config_hash(cfg: DictConfig, keys: Iterable[str]) -> str:
    """SHA-256 of the resolved values of some keys (dotted), without those that change no result.

    Classes count by their name, so that the hash is the same in every process, and the same for
    a config and for its dump (a run's config.yaml).
    """
    text = json.dumps(_relevant(cfg, keys), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def config_differences(
    cfg: DictConfig, other: DictConfig, keys: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """Where two configs of other hashes differ.

    Args:
        keys: as for `config_hash`.

    Returns:
        dotted key -> its value in `cfg` and in `other`, ABSENT for a key that one of them lacks.
    """
    keys = tuple(keys)
    ours, theirs = (dict(_leaves(_relevant(c, keys), "")) for c in (cfg, other))
    pairs = {k: (ours.get(k, ABSENT), theirs.get(k, ABSENT)) for k in {**ours, **theirs}}
    # as text, for 1 and 1.0 have two hashes
    return {k: (a, b) for k, (a, b) in pairs.items() if json.dumps(a) != json.dumps(b)}


def former_differences(
    cfg: DictConfig, folder: str | os.PathLike[str], keys: Iterable[str], hashed: str
) -> dict[str, tuple[Any, Any]]:
    """What `cfg` has otherwise than the config.yaml in a run's folder: key -> then and now.

    It only explains, so it is empty where that file is gone, damaged, or not of the hash.
    """
    try:
        former = read_config(os.path.join(folder, CONFIG_FILE), also=called_by(cfg))
        same = config_hash(former, keys) == hashed
        return config_differences(former, cfg, keys) if same else {}
    except Exception:  # of another version, or it names a class that is not ours
        return {}


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def dataset_hash(name: str) -> str:
    """16 hexadecimal digits of a SHA-256, whatever folder the data set lies in.

    COCO's form: of the JSON file's bytes (a second for 500 MB). VOC's: of the image set, the
    annotation files that it names and the metric's year. Any other (image folders): of its records,
    file names without folders. The images' own bytes are not read.

    Raises:
        DataError: a file that can't be read.
    """
    digest = hashlib.sha256()
    try:
        for part in _dataset_parts(name):
            digest.update(part.encode() + b"\n")
    except OSError as error:
        raise DataError(
            f"Data set {name!r}: can't read {error.filename!r} ({error.strerror}); mend or restore "
            "it."
        ) from error
    return digest.hexdigest()[:16]


def _relevant(cfg: DictConfig, keys: Iterable[str]) -> dict[str, Any]:
    return _canonical({key: OmegaConf.select(cfg, key) for key in keys}, "")


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values of canonical nodes by dotted keys; lists of plain values are values."""
    if isinstance(node, list) and any(isinstance(v, (dict, list)) for v in node):
        node = {str(i): v for i, v in enumerate(node)}
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, node


def _canonical(node: Any, path: str) -> Any:
    """`path`: the keys down to this node, each followed by a dot."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, dict):
        return {
            str(k): _canonical(
                locate(v) if k == "_target_" and isinstance(v, str) else v, f"{path}{k}."
            )
            for k, v in node.items()
            if not any(fnmatch.fnmatchcase(f"{path}{k}", pattern) for pattern in NO_EFFECT)
        }
    if isinstance(node, (list, tuple)):
        return [_canonical(v, f"{path}{i}.") for i, v in enumerate(node)]
    if isinstance(node, (set, frozenset)):
        return sorted(json.dumps(_canonical(v, path), sort_keys=True) for v in node)
    if hasattr(node, "__qualname__"):
        return f"{node.__module__}.{node.__qualname__}"
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    return _ADDRESS.sub("", repr(node))


def _dataset_parts(name: str) -> Iterator[str]:
    metadata = MetadataCatalog.get(name)
    if json_file := metadata.get("json_file"):
        yield file_hash(PathManager.get_local_path(json_file))
    elif dirname := metadata.get("dirname"):
        folder = PathManager.get_local_path(dirname)
        yield f"{metadata.get('year')}"
        for image_id in image_ids(folder, metadata.split):
            yield f"{image_id} {file_hash(os.path.join(folder, 'Annotations', f'{image_id}.xml'))}"
    else:
        for record in DatasetCatalog.get(name):
            file_name = os.path.basename(record.get("file_name", ""))
            yield json.dumps({**record, "file_name": file_name}, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else repr(value)
