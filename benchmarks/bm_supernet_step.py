"""A training step of the supernet against that of the fixed network of the same path and weights.

    python benchmarks/bm_supernet_step.py

BCCD, the 300M space: the FPN detector of configs/bccd at 320 px, and the classifier on 64-pixel
pieces of the same images. The path changes every step, as in training; each has its fixed network.
The learning rate is 0, so that supernet and networks keep equal weights: their losses are compared
bit for bit. What a process sends in a step is counted by tests/engine/test_parallel.py.
"""

from __future__ import annotations

import itertools
import json
import logging
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.utils.events import EventStorage
from measuring import PATH, alternate, bccd, mark, parser, report
from torch.profiler import ProfilerActivity, profile

from detnas_d2.engine.train_step import PathwiseStep
from detnas_d2.modeling import find_supernet, load_weights
from detnas_d2.space import UniformPathSampler

CONFIGS = {"detector": "step2_supernet_fpn", "classifier": "step1_supernet"}
PATHS = [PATH, *(str(UniformPathSampler("300m", seed=0)(i)) for i in range(2))]
STEPS = {"detector": 1, "classifier": 2}  # of an alternation: the classifier's are short
MARK = 1.03


class Step:
    """Training steps of one network on one batch.

    Args:
        kind: "detector" or "classifier".
        path: of a fixed network; without one, the supernet.
        state: weights of the supernet, for both.
    """

    def __init__(self, kind: str, path: str | None = None, state: Any = None) -> None:
        cfg = bccd(CONFIGS[kind])
        backbone = cfg.model.backbone
        backbone = backbone.bottom_up if "bottom_up" in backbone else backbone
        if path is not None:
            backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"
            backbone.architecture = path
        torch.manual_seed(0)
        self.model = instantiate(cfg.model).train()
        if state is not None:
            load_weights(self.model, {"model": state})
        self._supernet = find_supernet(self.model)
        cfg.optimizer.lr = 0.0
        cfg.optimizer.params.model = self.model
        self._step = PathwiseStep(
            self.model, itertools.repeat(_batch(kind)), instantiate(cfg.optimizer)
        )

    def __call__(self, path: str) -> float:
        """One step; returns the loss."""
        if self._supernet is not None:
            self._supernet.set_path(path)
        torch.manual_seed(0)
        with EventStorage() as storage:
            self._step.run_step()
            return storage.latest()["total_loss"][0]

    def memory(self) -> int:
        """Most bytes that tensors made in a step hold: activations and gradients."""
        self(PATH)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            self(PATH)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trace.json"
            profiler.export_chrome_trace(str(file))
            trace = json.loads(file.read_text())["traceEvents"]
        events = sorted((e for e in trace if e["name"] == "[memory]"), key=lambda e: e["ts"])
        return max(itertools.accumulate(e["args"]["Bytes"] for e in events))


def _batch(kind: str) -> list[dict[str, Any]]:
    """4 images of 320x240 with their boxes, or 32 pieces of 64x64 with a class."""
    images = next(iter(instantiate(bccd(CONFIGS["detector"]).dataloader.train)))
    if kind == "detector":
        return images
    pieces = [
        piece
        for image in images
        for row in image["image"].split(64, 1)
        for piece in row.split(64, 2)
        if piece.shape[1:] == (64, 64)
    ]
    return [{"image": piece, "category_id": i % 4} for i, piece in enumerate(pieces[:32])]


def compare(kind: str, rounds: int) -> dict[str, Any]:
    """Seconds and bytes of a step: ours / the fixed network's."""
    supernet = Step(kind)
    state = {k: v.clone() for k, v in supernet.model.state_dict().items()}
    networks = [Step(kind, path, state) for path in PATHS]
    losses: dict[str, list[float]] = {"ours": [], "fixed": []}

    def run(who: str) -> None:
        i = len(losses[who]) % len(PATHS)
        losses[who].append((supernet if who == "ours" else networks[i])(PATHS[i]))

    contenders = {who: partial(run, who) for who in losses}
    ratio, seconds = alternate(contenders, rounds, warm_up=len(PATHS))
    if losses["ours"] != losses["fixed"]:
        raise SystemExit(f"supernet and networks differ, so no comparison: {losses}")
    memory = {"ours": supernet.memory(), "fixed": networks[0].memory()}
    memory_ratio = memory["ours"] / memory["fixed"]
    mark(f"{kind}: at most {MARK} times a fixed network's time", ratio <= MARK)
    mark(f"{kind}: at most {MARK} times its memory", memory_ratio <= MARK)
    return {"ratio": ratio, "seconds": seconds, "memory_ratio": memory_ratio, "bytes": memory}


if __name__ == "__main__":
    arguments = parser(__doc__, rounds=40)
    arguments.add_argument("--only", choices=list(CONFIGS), help="of the two models")
    args = arguments.parse_args()
    logging.disable(logging.INFO)
    kinds = [args.only] if args.only else list(CONFIGS)
    figures = {kind: compare(kind, args.rounds * STEPS[kind]) for kind in kinds}
    threads = torch.get_num_threads()
    report("supernet_step", {"ratio": figures[kinds[0]]["ratio"], **figures, "threads": threads})
