#!/usr/bin/env python3
"""Try every config without data, GPU or checkpoint (make dry-run).

    python tools/dry_run.py                         # all of configs/ and of projects/DetNAS/
    python tools/dry_run.py configs/coco/step2*.py  # these

Each is loaded, its keys are compared with what takes them, it is saved and loaded again, built at
full size on the meta device, its multiply-adds are compared with what its name says, and one step
of it runs at small width on random images. A line for each; exit status 1 if one failed.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from detectron2.config import LazyConfig, instantiate
from dry_run_cost import Report, check_full_size
from dry_run_keys import unknown_keys, unlike_references
from dry_run_own import with_tiny_data
from dry_run_step import at_small_width, train_one_step
from dry_run_yacs import check_yaml
from omegaconf import DictConfig

from detnas_d2.commands import add_debug, ending
from detnas_d2.data import missing_datasets
from detnas_d2.engine import (
    ConfigError,
    DetNASCheckpointer,
    LazyTrainer,
    evaluate_checkpoint,
    load_config,
    require_supernet,
)
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.engine.preflight import PURPOSE, check_run, dataset_names
from detnas_d2.space import CostTable
from detnas_d2.trust import called_by, read_config

ROOT = Path(__file__).resolve().parent.parent


def check_config(path: Path, folder: str) -> Report:
    """Try one LazyConfig file.

    Args:
        folder: for what it writes, and the checkpoints that it and others start from.

    Raises:
        ConfigError, or what building and running raise: the config is broken.
    """
    cfg = load_config(str(path))
    kind = kind_of(cfg)
    step = path.name[:5]
    if kind != {"step3": "search", "step5": "test"}.get(step, "train"):
        raise ConfigError(f"{path.name} is by its keys a config of {PURPOSE[kind]}")
    problems = [*unknown_keys(cfg), *unlike_references(cfg)]
    if problems:
        raise ConfigError("; ".join(problems))
    missing_datasets(set(dataset_names(cfg.dataloader)))  # raises for an unknown name
    with tempfile.TemporaryDirectory(dir=folder) as output_dir:
        check_dump(cfg, output_dir)
        report = check_full_size(cfg, kind, network_name(path))
        small = at_small_width(cfg, output_dir)
        small.train.init_checkpoint = stand_in_checkpoint(
            cfg.train.init_checkpoint, folder, path.parents[2]
        )
        run_small(small, kind)
    return report


def kind_of(cfg: DictConfig) -> str:
    """ "search", "train" or "test", as `check_run` calls them."""
    return "search" if "search" in cfg else "train" if "optimizer" in cfg else "test"


def network_name(path: Path) -> str:
    """The name without its step, as the ImageNet folder has it: detnasnet_coco_fpn_300m."""
    name = re.sub(r"^step\d_(supernet|search|classification|detection|test)_?", "", path.stem)
    return name.replace(
        "detnasnet_", f"detnasnet_{path.parent.name}_", path.parent.name != "imagenet"
    )


def check_dump(cfg: DictConfig, folder: str) -> None:
    """The config.yaml of a run says the same as the config."""
    file = os.path.join(folder, "config.yaml")
    LazyConfig.save(cfg, file)
    if os.path.exists(f"{file}.pkl"):  # Detectron2's way out
        raise ConfigError(
            "The config can't be saved as YAML: a function or an object stands in it."
        )
    again = read_config(file, also=called_by(cfg))
    if config_hash(again, sorted(again)) != config_hash(cfg, sorted(cfg)):
        raise ConfigError("The saved config, loaded again, is not the same.")


def run_small(cfg: DictConfig, kind: str) -> None:
    """One training step, the fitness of one architecture, or a test."""
    check_run(cfg, kind)
    if kind == "train":
        train_one_step(cfg)
    elif kind == "test":
        evaluate_checkpoint(cfg)
    else:
        cfg.search.fitness.calibration_batches = 1
        model = LazyTrainer.build_model(cfg)
        DetNASCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[])
        fitness = instantiate(cfg.search.fitness)
        score = fitness.build(cfg, model, fitness.load(cfg))
        score(CostTable(require_supernet(model, "A search").space).cheapest())


def stand_in_checkpoint(file: str, folder: str, root: Path) -> str:
    """A checkpoint of the config that writes `file`, at small width; "" for none or a download.

    Args:
        file: as a config in root/configs names it.
        folder: for the checkpoint.
    """
    if not file or "://" in file:
        return ""
    writer = re.sub(r"^output/(.*)/model_final\.pth$", r"configs/\1.py", file)
    if writer == file or not (root / writer).is_file():
        raise ConfigError(f"train.init_checkpoint: no config writes {file!r}")
    name = re.sub(r"\W", "_", writer)
    checkpoint = os.path.join(folder, f"{name}.pth")
    if not os.path.exists(checkpoint):
        cfg = at_small_width(load_config(str(root / writer)), folder)
        DetNASCheckpointer(LazyTrainer.build_model(cfg), folder).save(name)
    return checkpoint


def all_configs() -> list[Path]:
    """Every config there is."""
    lazy = sorted((ROOT / "configs").glob("*/*.py"))
    yaml = sorted((ROOT / "projects/DetNAS/configs").glob("*.yaml"))
    return lazy + yaml


def is_run(path: Path) -> bool:
    """A step, not what steps share; no base of yacs configs."""
    if path.suffix == ".yaml":
        return not path.name.startswith("Base-")
    return path.parent.name != "common" and path.name.startswith("step")


def main(paths: list[Path]) -> int:
    """Try the configs, print a line for each; returns the exit status."""
    torch.set_num_threads(1)  # on images this small, more cost more than they bring
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    lacking = [str(path) for path in paths if not path.is_file()]
    if lacking:
        raise ConfigError(f"There is no config file {', '.join(lacking)}; see configs/.")
    paths = [path for path in paths if is_run(path)]
    failed = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            name = os.path.relpath(path, ROOT).removeprefix("configs/")
            since = time.perf_counter()
            try:
                yaml = path.suffix == ".yaml"
                if yaml:
                    report = check_yaml(path)
                else:
                    with with_tiny_data(path.resolve(), folder) as config:
                        report = check_config(config, folder)
            except Exception as e:  # whatever a broken config raises; the others are tried too
                failed.append(f"{name}: {type(e).__name__}: {e}")
                print(f"{name:70} FAILED", flush=True)
                continue
            seconds = time.perf_counter() - since
            columns = f"{name:70} {report.kind:7} {report.network:25} {report.cost:>10} MFLOPs"
            print(f"{columns} {seconds:5.1f} s", flush=True)
    print(*failed, sep="\n", end="\n" if failed else "")
    seconds = time.perf_counter() - start
    print(f"dry run: {len(paths)} configs, {len(failed)} failed, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="*", type=Path, help="all of them where left out")
    args = add_debug(parser).parse_args()
    with ending("dry_run.py", debug=args.debug):
        sys.exit(main(args.configs or all_configs()))
