"""What `train` and `search` of a config hold: of each key the type, default, unit and meaning.

From here come the defaults in configs/common, the check of a config before a run, and the tables
of docs/config.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any

from .rules import DEVICE, FILE, FLAG, FOLDER, LIST, NODE, SIZE, Rule, number, whole

_PRECISION = Rule("highest, high or medium", lambda v: v in ("highest", "high", "medium", ""))


def _key(default: Any, rule: Rule, runs: str = "train") -> Any:
    """A setting with its rule, and the kinds of run that use it."""
    return field(default=default, metadata={"rule": rule, "runs": runs.split()})


def _search(default: Any, rule: Rule) -> Any:
    return _key(default, rule, "search")


@dataclass(frozen=True)
class Amp:
    """
    Attributes:
        enabled: mixed precision, float16 with loss scaling; on a GPU only.
    """

    enabled: bool = _key(False, FLAG)


@dataclass(frozen=True)
class Checkpointer:
    """
    Attributes:
        period: between checkpoints.
        max_to_keep: older ones are deleted; null keeps all. `model_final.pth` stays.
    """

    period: int = _key(5000, whole(1, "iterations"))
    max_to_keep: int | None = _key(2, whole(1, "checkpoints").or_null())


@dataclass(frozen=True)
class Train:
    """`train`, as Detectron2's own configs/common/train.py, with a seed.

    Attributes:
        output_dir: where everything is written; null: `output/coco/step2_x` of
            `configs/coco/step2_x.py`. Search and training lock it; a second run in it waits or
            ends.
        init_checkpoint: weights to start from: the `model_final.pth` of the step before, a
            supernet's too (the network is cut out of it), or `detectron2://…`. Empty: none, random
            weights.
        init_backbone_only: take the backbone's weights alone, not the heads': another data set's
            detector.
        init_path_only: of a supernet: the weights are one network's, and fill its path.
        max_iter: length of the training; the schedule stretches over it.
        seed: with the iteration, all that a step depends on: paths, images, augmentation, the
            detector's sampling, first weights.
        eval_period: between evaluations of the network; 0: after the last iteration only. A
            supernet is never evaluated in training.
        log_period: between lines of the log, of `metrics.json` and of TensorBoard.
        device: `cuda`, `cuda:NUMBER` or `cpu`.
    """

    output_dir: str | None = _key(None, FOLDER, "train test search")
    init_checkpoint: str | None = _key("", FILE.or_null(), "train test search")
    init_backbone_only: bool = _key(False, FLAG.or_null())
    init_path_only: bool = _key(False, FLAG.or_null())
    max_iter: int = _key(90000, whole(1, "iterations"))
    seed: int = _key(0, whole(0, most=2**31 - 1), "train test search")
    amp: Amp = Amp()
    checkpointer: Checkpointer = Checkpointer()
    eval_period: int = _key(0, whole(0, "iterations"))
    log_period: int = _key(20, whole(1, "iterations"))
    device: str = _key("cuda", DEVICE, "train test search")


@dataclass(frozen=True, kw_only=True)
class Search:
    """`search`. A candidate has to meet all limits that are not null.

    Attributes:
        seed: of the search's random draws.
        flops_limit: the most a candidate may have, backbone convolutions, at `input_size`.
        params_limit: the most that the backbone may have.
        latency_limit: the most by `latency_table`.
        latency_table: what `python -m detnas_d2.evaluation.latency` wrote on the device at hand.
        input_size: height and width of the image that costs are counted for. It changes no image
            of the search.
        fitness: makes [SupernetFitness or ShortTraining](#config-fitness), or [one of your
            own](extending.md).
        executor: makes [DefaultExecutor](#config-fitness), or [one of your own](extending.md).
        algorithm: makes one of [the algorithms](#config-algorithms).
        initial: architectures that the search begins with: `[2,1,2,0,…]`, or `[a.json,b.json]`;
            null: random ones. Evaluated anew.
        initial_ledger: another search's `ledger.jsonl` in the same space; its best fill the first
            population, and are evaluated anew.
        retrain: configs that train the best, for the commands that are printed at the end.
    """

    seed: int = _search(0, whole(0))
    flops_limit: int | None = _search(300_000_000, number("multiply-adds").or_null())
    params_limit: int | None = _search(None, number("parameters").or_null())
    latency_limit: float | None = _search(None, number("ms").or_null())
    latency_table: str | None = _search(None, FILE.or_null())
    input_size: tuple[int, int] = _search((224, 224), SIZE)
    fitness: Any = _search(MISSING, NODE)
    executor: Any = _search(MISSING, NODE)
    algorithm: Any = _search(MISSING, NODE)
    initial: list[Any] | None = _search(None, LIST.or_null())
    initial_ledger: str | None = _search(None, FILE.or_null())
    retrain: list[str] = _search((), LIST.or_null())


def defaults(schema: type) -> dict[str, Any]:
    """What a config's node begins with, as plain containers; nodes are left to the config."""
    return {
        f.name: defaults(type(f.default)) if is_dataclass(f.default) else f.default
        for f in fields(schema)
        if f.default is not MISSING
    }


def keys_of(schema: type, prefix: str) -> Iterator[tuple[str, Field[Any]]]:
    """(dotted key, field) of each setting."""
    for f in fields(schema):
        if is_dataclass(f.default):
            yield from keys_of(type(f.default), f"{prefix}.{f.name}")
        else:
            yield f"{prefix}.{f.name}", f


KEYS = dict([*keys_of(Train, "train"), *keys_of(Search, "search")])
OF_DETECTRON2 = {
    "train.cudnn_benchmark": FLAG,
    "train.float32_precision": _PRECISION,
}
"""Keys that a config may have besides, as Detectron2 has them: switches of PyTorch."""


def is_allowed(key: str) -> bool:
    """Whether a config may have a key (dotted; `[0]` in a list): in `train` and `search` one of
    theirs, a group of them, or what is in the node or list of one; elsewhere any."""
    parts = re.split(r"[.[]", key)
    known = (k.split(".") for k in (*KEYS, *OF_DETECTRON2))
    return parts[0] not in ("train", "search") or any(
        all(a == b for a, b in zip(parts, k, strict=False)) for k in known
    )
