"""LazyConfig files, checked before any work starts."""

from __future__ import annotations

import glob
import itertools
import os
import re
import traceback
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from detectron2.config import LazyCall
from detectron2.config.instantiate import dump_dataclass
from detectron2.layers import ShapeSpec
from omegaconf import DictConfig, ListConfig, OmegaConf

from ..data import register_from_config
from ..errors import ConfigError, DetNASError
from ..own_modules import calls_out_of_reach, find_own_modules, why_not_read
from ..rules import did_you_mean
from ..settings import KEYS, OF_DETECTRON2, is_allowed
from ..trust import HOW, TrustError, is_code, read_config
from .overrides import KNOWN_KEYS_ONLY, apply_overrides, walk


def load_config(
    path: str, overrides: Sequence[str] = (), *, trust: bool = False, test: bool = False
) -> DictConfig:
    """Load a LazyConfig file and apply ``key=value`` overrides to it.

    Unlike ``LazyConfig.apply_overrides``, which creates a mistyped key in silence, an override
    has to name a key that the config has, with a value of the same type. ``+key=value`` adds a
    key on purpose, and ``key=2,1,2,0`` is an architecture: the same as ``key=[2,1,2,0]``.
    ``train`` and ``search`` hold no other keys than `detnas_d2.settings` has. The config's own data
    sets (``datasets``) are registered. Where it names no ``train.output_dir``, that follows from
    its path (`output_dir_of`).

    Args:
        path: a .py file, which is run, or YAML, which may come from elsewhere (`detnas_d2.trust`).
        overrides: the user's own.
        trust: run whatever YAML names.
        test: for ``--eval-only``. The checkpoint is then what this config trains, the images those
            of ``dataloader.final_test`` (where it has none: of ``dataloader.test``), and the
            predictions go to the output folder; overrides come after that.

    Raises:
        ConfigError: naming the file or key, and the nearest existing key.
        TrustError: YAML that names other things than a config from elsewhere may.
    """
    if not os.path.isfile(path):
        raise ConfigError(f"The config file {path!r} does not exist.{_files_near(path)}")
    if is_code(path, trust):
        find_own_modules()
    try:
        cfg = read_config(path, trust=trust)
    except TrustError:
        raise
    except DetNASError as e:  # says itself what to do
        raise ConfigError(f"{e} (Read by the config file {path!r}.)") from e
    except Exception as e:  # a config runs code of its own, which can raise anything
        syntax = f" {e.__cause__}" if isinstance(e, SyntaxError) and e.__cause__ else ""
        raise ConfigError(
            f"The config file {path!r} could not be read: {why_not_read(path, e)}{syntax}"
            f"{_line_of(e)}"
        ) from e
    describe_objects(cfg)
    if wrong := calls_out_of_reach(OmegaConf.to_container(cfg, resolve=False)):
        raise ConfigError(f"The config file {path!r} {wrong}")
    address = OmegaConf.select(cfg, "search.executor.address")
    if address is not None and not is_code(path, trust):
        raise TrustError(
            f"{path} sets search.executor.address to {address!r}. Whoever runs that cluster can "
            f"run anything on this machine; {HOW}"
        )
    if OmegaConf.is_config(cfg.get("train")) and cfg.train.get("output_dir") is None:
        cfg.train.output_dir = output_dir_of(path)
    if test:
        _test_what_it_trains(cfg)
    cfg = apply_overrides(cfg, overrides)
    _refuse_unknown(cfg, path)
    register_from_config(cfg.get("datasets"))
    return cfg


def _refuse_unknown(cfg: DictConfig, path: str) -> None:
    """Refuse keys of `train` and `search` that nothing reads: typos of a file, or former ones."""
    there = [*walk(cfg.get("train"), "train"), *walk(cfg.get("search"), "search")]
    arguments = [key for key, _ in there if key.count(".") > 1]  # of nodes
    for key, _ in there:
        if not is_allowed(key):
            near = did_you_mean(key, [*KEYS, *OF_DETECTRON2, *arguments])
            raise ConfigError(
                f"{path} sets {key}, which this version does not have.{near} {KNOWN_KEYS_ONLY}"
            )


def output_dir_of(path: str) -> str:
    """The output folder of a config: output/coco/step2_x of configs/coco/step2_x.py, wherever that
    ``configs`` folder lies; output/NAME of a file that lies in none."""
    parts = Path(os.path.abspath(path)).with_suffix("").parts
    below = parts[::-1].index("configs") if "configs" in parts[:-1] else 1
    return plain_path(os.path.join("output", *parts[-below:]))


def _test_what_it_trains(cfg: DictConfig) -> None:
    if "train" in cfg:
        cfg.train.init_checkpoint = "${.output_dir}/model_final.pth"
    loaders = cfg.get("dataloader", OmegaConf.create())
    if loaders.get("final_test") is not None:
        loaders.test.dataset.names = loaders.final_test
    if "output_dir" in (loaders.get("evaluator") or {}):
        loaders.evaluator.output_dir = "${train.output_dir}"


def _line_of(error: Exception) -> str:
    """Where in the config, or in one that it imports, an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    modules = [f for f in frames if f.name == "<module>"]
    return f" (in {modules[-1].filename}, line {modules[-1].lineno})" if modules else ""


def backbone_key(cfg: DictConfig) -> str:
    """Where the DetNAS backbone stands in a config: in a detector it is the bottom of an FPN."""
    return "model.backbone" + (".bottom_up" if "bottom_up" in cfg.model.backbone else "")


def backbone_node(cfg: DictConfig) -> DictConfig:
    """The config of the DetNAS backbone, which stands at `backbone_key`."""
    return OmegaConf.select(cfg, backbone_key(cfg))


def describe_objects(node: Any) -> None:
    """Write dataclass instances as the nodes that make them: ``space=SearchSpace(...)`` becomes
    what ``space=L(SearchSpace)(...)`` is.

    A run's config.yaml would otherwise keep their fields and forget their classes. So do
    Detectron2's ShapeSpecs, which are dataclasses at its head alone. The node is changed in place.
    """
    if not isinstance(node, (DictConfig, ListConfig)):
        return
    keys = list(node) if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if isinstance(value, DictConfig) and is_dataclass(OmegaConf.get_type(value)):
            node[key] = dump_dataclass(OmegaConf.to_object(value))
        elif isinstance(value, ShapeSpec):
            sides = {"height": value.height, "width": value.width, "stride": value.stride}
            node[key] = LazyCall(ShapeSpec)(channels=value.channels, **sides)
        else:
            describe_objects(value)


def plain_path(path: str) -> str:
    """A path as a config has to have it: ``${`` in it refers to nothing, ``???`` is a name."""
    if path == "???":
        return os.path.join(".", path)
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", path)


def _files_near(path: str) -> str:
    folder = next(f for f in Path(path).absolute().parents if f.is_dir())
    if folder == folder.parent:
        return ""  # nothing of the path exists; the whole disk is no place to search
    files = glob.iglob(os.path.join(glob.escape(str(folder)), "**", "*.py"), recursive=True)
    names = map(os.path.relpath, itertools.islice(files, 1000))
    return did_you_mean(os.path.relpath(path), names, cutoff=0.5)
