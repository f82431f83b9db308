"""What a resumed search has to have in common with the one before: the ledger and its header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detectron2.utils.file_io import PathManager
from omegaconf import DictConfig

from ..engine import CheckpointError
from ..engine.fingerprint import config_hash, dataset_hash, file_hash, former_differences
from ..engine.lock import folder_lock
from ..engine.preflight import dataset_names
from ..evaluation import CandidateFitness
from ..search import Ledger, LedgerMismatch, SearchAlgorithm, make_header
from ..search.ledger import LEDGER_FILE
from ..space import SearchSpace

# convolutions round otherwise in another torch, boxes are chosen otherwise by another torchvision,
# ties are ordered otherwise by another Detectron2 or hotcoco, images resized otherwise by another
# Pillow
PACKAGES = (
    *("torch", "torchvision", "detectron2", "hotcoco", "pillow"),
    *("numpy", "scipy", "fvcore"),  # draws, limits, batch-norm statistics
)
_SHOWN = 6  # keys that differ


def search_header(
    cfg: DictConfig,
    fitness: CandidateFitness,
    space: SearchSpace,
    algorithm: SearchAlgorithm,
    depends_on: Mapping[str, Any],
) -> dict[str, Any]:
    """All that the candidates and their fitness depend on.

    Args:
        depends_on: the executor's share.

    Raises:
        CheckpointError, DataError: a checkpoint or a data set's file that can't be read.
    """
    config = config_hash(cfg, fitness.config_keys)
    checkpoint = "none" if fitness.weights == "none" else checkpoint_hash(cfg)
    header = make_header(space, config, checkpoint, cfg.search.seed)
    table = cfg.search.get("latency_table")
    names = [name for key in fitness.loaders for name in dataset_names(cfg.dataloader[key])]
    return {
        **header,
        "datasets": {name: dataset_hash(name) for name in dict.fromkeys(names)},
        "device": cfg.train.device,
        **depends_on,
        **{package: version(package) for package in PACKAGES},
        **({} if table is None else {"latency_table": file_hash(table)}),
        **algorithm.depends_on,
    }


@contextmanager
def search_ledger(
    cfg: DictConfig,
    fitness: CandidateFitness,
    header: Mapping[str, Any],
    space: SearchSpace,
    *,
    resume: bool,
) -> Iterator[Ledger]:
    """The Ledger in the output folder, and that folder's lock. Ctrl-C says how to go on with it.

    Raises:
        FolderInUse: another run writes to the folder.
        LedgerError: as Ledger; LedgerMismatch names the keys of the config that differ, if the
            folder's config.yaml is still the one that the ledger belongs to.
        KeyboardInterrupt: with a message.
    """
    path = Path(cfg.train.output_dir, LEDGER_FILE)
    with ExitStack() as stack:
        stack.enter_context(folder_lock(cfg.train.output_dir, patience=0))
        try:
            ledger = stack.enter_context(Ledger(path, header, space, resume=resume))
        except LedgerMismatch as error:
            fields = _name_keys(error.fields, cfg, fitness.config_keys)
            raise LedgerMismatch(path, fields) from error
        try:
            yield ledger
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"stopped; candidates in {path}: {len(ledger)}. Go on with --resume."
            ) from error


def checkpoint_hash(cfg: DictConfig) -> str:
    """SHA-256 of the file ``train.init_checkpoint``, or "none".

    Raises:
        CheckpointError: it can't be read.
    """
    path = cfg.train.init_checkpoint
    if not path:
        return "none"  # null would agree with any
    try:
        return file_hash(PathManager.get_local_path(path))
    except OSError as error:
        raise CheckpointError(f"train.init_checkpoint: can't read {path!r}: {error}") from error


def _name_keys(
    fields: Mapping[str, tuple[Any, Any]], cfg: DictConfig, keys: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    """The fields with the config's keys in the place of its hash, where they can be told."""
    hashes = fields.get("config_hash", ("", ""))
    found = former_differences(cfg, cfg.train.output_dir, keys, hashes[0])
    if not found:  # the hashes have to do
        return dict(fields)
    # but for the seed, which is a field itself
    differing = [pair for pair in found.items() if pair[0].removeprefix("search.") not in fields]
    left = len(differing) - _SHOWN
    rest = {f"config_hash ({left} more keys)": hashes} if left > 0 else {}
    others = {k: v for k, v in fields.items() if k != "config_hash"}
    return {**others, **dict(differing[:_SHOWN]), **rest}
