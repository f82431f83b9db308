"""The ledger of a search, with what a user has to know where it is refused or left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ..engine.fingerprint import config_differences, config_hash
from ..engine.setup import CONFIG_FILE
from ..search import Ledger, LedgerMismatch
from ..space import SearchSpace
from ..trust import called_by, read_config
from .header import CONFIG_KEYS

_SHOWN = 6


@contextmanager
def search_ledger(
    cfg: DictConfig, header: Mapping[str, Any], space: SearchSpace, *, resume: bool
) -> Iterator[Ledger]:
    """The Ledger in the output folder. Ctrl-C says how to go on with it.

    Raises:
        LedgerError: as Ledger; LedgerMismatch names the keys of the config that differ, if the
            folder's config.yaml is still the one that the ledger belongs to.
        KeyboardInterrupt: with a message.
    """
    path = Path(cfg.train.output_dir, "ledger.jsonl")
    try:
        ledger = Ledger(path, header, space, resume=resume)
    except LedgerMismatch as error:
        raise LedgerMismatch(path, _name_keys(error.fields, cfg)) from error
    with ledger:
        try:
            yield ledger
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(
                f"stopped; candidates in {path}: {len(ledger)}. Go on with --resume."
            ) from error


def _name_keys(
    fields: Mapping[str, tuple[Any, Any]], cfg: DictConfig
) -> dict[str, tuple[Any, Any]]:
    """The fields with the config's keys in the place of its hash, where they can be told."""
    hashes = fields.get("config_hash")
    if hashes is None:
        return dict(fields)
    try:
        file = str(Path(cfg.train.output_dir, CONFIG_FILE))
        former = read_config(file, also=called_by(cfg))
        if config_hash(former, CONFIG_KEYS) != hashes[0]:
            return dict(fields)
    except Exception:  # gone, damaged, or naming a class that is not ours: the hashes have to do
        return dict(fields)
    differing = {
        k: pair
        for k, pair in config_differences(former, cfg, CONFIG_KEYS).items()
        if k.removeprefix("search.") not in fields  # the seed
    }
    shown = dict(list(differing.items())[:_SHOWN])
    left = len(differing) - len(shown)
    rest = {f"config_hash ({left} more keys)": hashes} if left else {}
    return {**{k: v for k, v in fields.items() if k != "config_hash"}, **shown, **rest}
