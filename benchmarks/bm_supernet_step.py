"""A training step of the supernet against that of the fixed network of the same path and weights.

    python benchmarks/bm_supernet_step.py

BCCD, the 300M space: the FPN detector of configs/bccd at 320 px, and the classifier on 64-pixel
pieces of the same images. The path changes every step, as in training; each has its fixed network.
The learning rate is 0, so that supernet and networks keep equal weights: their losses are compared
bit for bit. Memory is measured in a process each, bytes between two processes (gloo).
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from detectron2.config import instantiate
from detectron2.engine import launch
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from measuring import alternate, mark, median_ratio, report
from torch.profiler import ProfilerActivity, profile

import detnas_d2.data  # noqa: F401  registers BCCD
from detnas_d2.engine import load_config, parallel
from detnas_d2.engine.train_step import PathwiseStep
from detnas_d2.modeling import find_backbone, find_supernet, load_weights
from detnas_d2.space import UniformPathSampler

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {"detector": "step2_supernet_fpn", "classifier": "step1_supernet"}
PATHS = [
    "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2",  # DetNASNet, COCO, FPN
    *(str(UniformPathSampler("300m", seed=0)(i)) for i in range(2)),
]
STEPS = {"detector": 1, "classifier": 2}  # of a round: the classifier's are short
MARK = 1.03


class Step:
    """Training steps of one network on one batch.

    Args:
        kind: "detector" or "classifier".
        path: of a fixed network; without one, the supernet.
        state: weights of the supernet, for both.
    """

    def __init__(self, kind: str, path: str | None = None, state: Any = None) -> None:
        cfg = load_config(str(ROOT / f"configs/bccd/{CONFIGS[kind]}.py"))
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

    def __call__(self, path: str, seed: int = 0) -> float:
        """One step; returns the loss, on the first process."""
        if self._supernet is not None:
            self._supernet.set_path(path)
        torch.manual_seed(seed)
        with EventStorage() as storage:
            self._step.run_step()
            return storage.latest().get("total_loss", (float("nan"),))[0]


def _batch(kind: str) -> list[dict[str, Any]]:
    """4 images of 320x240 with their boxes, or 32 pieces of 64x64 with a class."""
    data = load_config(str(ROOT / f"configs/bccd/{CONFIGS['detector']}.py")).dataloader
    images = next(iter(instantiate(data.train)))
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


def compare_time(kind: str, rounds: int) -> dict[str, Any]:
    """Seconds of a step: ours / the fixed network's."""
    supernet = Step(kind)
    state = {k: v.clone() for k, v in supernet.model.state_dict().items()}
    networks = [Step(kind, path, state) for path in PATHS]
    losses: dict[str, list[float]] = {"ours": [], "fixed": []}
    cpu: dict[str, list[float]] = {"ours": [], "fixed": []}

    def run(who: str) -> None:
        i = len(losses[who]) % len(PATHS)
        step = supernet if who == "ours" else networks[i]
        start = time.process_time()
        losses[who].append(step(PATHS[i]))
        cpu[who].append(time.process_time() - start)

    contenders = {who: partial(run, who) for who in losses}
    seconds = alternate(contenders, rounds, warm_up=len(PATHS))
    if losses["ours"] != losses["fixed"]:
        raise SystemExit(f"supernet and networks differ, so no comparison: {losses}")
    ratio = median_ratio(seconds["ours"], seconds["fixed"])
    cpu_ratio = median_ratio(*(cpu[who][-rounds:] for who in losses))
    step = {k: statistics.median(v) for k, v in seconds.items()}
    print(
        f"{kind}: a step of the supernet {step['ours']:.3f} s, of the fixed network "
        f"{step['fixed']:.3f} s: ratio {ratio:.3f}, of processor time "
        f"{cpu_ratio:.3f}; {rounds} alternations, losses equal",
        flush=True,
    )
    mark(f"{kind}: at most {MARK} times the time of a fixed network's step", ratio <= MARK)
    return {
        "ratio": round(ratio, 4),
        "cpu_ratio": round(cpu_ratio, 4),
        "seconds": round(step["ours"], 4),
        "fixed_seconds": round(step["fixed"], 4),
    }


# memory


def compare_memory(kind: str) -> dict[str, Any]:
    """Most memory that tensors take in a step beyond those from before, and of the process."""
    ours, fixed = (json.loads(_child("--memory", kind, which)) for which in ("supernet", "fixed"))
    ratio = ours["step"] / fixed["step"]
    print(
        f"{kind}: most memory of the tensors made in a step (activations, gradients): supernet "
        f"{ours['step'] / 1e6:.1f} MB, fixed {fixed['step'] / 1e6:.1f} MB, ratio {ratio:.3f}; "
        f"weights {ours['weights'] / 1e6:.1f} and {fixed['weights'] / 1e6:.1f} MB; peak of the "
        f"process {ours['process'] / 1e6:.0f} and {fixed['process'] / 1e6:.0f} MB",
        flush=True,
    )
    mark(f"{kind}: at most {MARK} times the memory of a fixed network's step", ratio <= MARK)
    return {"memory_ratio": round(ratio, 4), "memory": ours, "fixed_memory": fixed}


def memory(kind: str, which: str) -> None:
    """Print the bytes of one network, measured in this process."""
    step = Step(kind, None if which == "supernet" else PATHS[0])
    step(PATHS[0])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(PATHS[0])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        trace = json.loads(file.read_text())["traceEvents"]
    events = sorted((e for e in trace if e["name"] == "[memory]"), key=lambda e: e["ts"])
    held = itertools.accumulate(e["args"]["Bytes"] for e in events)
    weights = sum(p.numel() * p.element_size() for p in step.model.parameters())
    print(json.dumps({"step": max(held), "weights": weights, "process": _process_peak()}))


def _process_peak() -> int:
    """Most resident bytes of this process; getrusage would tell of the parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no VmHWM: memory is measured on Linux only")


# bytes between processes


def compare_bytes(kind: str) -> dict[str, Any]:
    """Bytes that each of two processes gives to all_reduce and all_gather in one step."""
    sent = json.loads(_child("--bytes", kind))
    print(
        f"{kind}: bytes that a process sends in one step: gradients and which there are "
        f"{sent['gradients']:,} in {sent['buckets']} buckets, {sent['early']:,} of them before "
        f"backward has come to the first layer; norms and log {sent['others']:,}; the network's "
        f"parameters are {sent['network']:,} bytes in {sent['tensors']} tensors, the supernet's "
        f"{sent['supernet']:,} bytes",
        flush=True,
    )
    expected = sent["network"] + 4 * sent["tensors"]
    mark(f"{kind}: one network's gradients travel", sent["gradients"] == expected)
    return {"bytes": sent}


def count_bytes(kind: str) -> None:
    step = Step(kind)
    network = Step(kind, PATHS[0]).model  # on all processes: a step makes a group of them
    sent = Counter(gradients=0, buckets=0, early=0, others=0)
    found = find_backbone(step.model)
    assert found is not None
    first = next(found[1].parameters())
    for name in ("all_reduce", "all_gather"):
        setattr(dist, name, _counting(getattr(dist, name), sent, first))
    step(PATHS[0], seed=comm.get_rank())
    if comm.is_main_process():
        sizes = {"network": network, "supernet": step.model}
        for name, model in sizes.items():
            sent[name] = sum(p.numel() * p.element_size() for p in model.parameters())
        sent["tensors"] = len(list(network.parameters()))
        print(json.dumps(sent))


def _counting(
    collective: Callable[..., Any], sent: Counter[str], first: torch.nn.Parameter
) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        tensor = args[-1] if isinstance(args[0], list) else args[0]
        size = tensor.numel() * tensor.element_size()
        if sys._getframe(1).f_globals["__name__"] == parallel.__name__:
            sent["gradients"] += size
            sent["buckets"] += 1
            sent["early"] += size * (first.grad is None)
        else:
            sent["others"] += size
        return collective(*args, **kwargs)

    return counted


def _child(*arguments: str) -> str:
    """The last line that this file prints with the arguments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=40,
        help="alternations (twice as many of the classifier)",
    )
    parser.add_argument("--only", choices=list(CONFIGS), help="of the two models")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--bytes", help=argparse.SUPPRESS)
    args = parser.parse_args()
    logging.disable(logging.INFO)
    if args.memory:
        memory(*args.memory)
    elif args.bytes:
        launch(count_bytes, 2, dist_url="auto", args=(args.bytes,))
    else:
        figures = {
            kind: compare_time(kind, args.rounds * STEPS[kind])
            | compare_memory(kind)
            | compare_bytes(kind)
            for kind in ([args.only] if args.only else CONFIGS)
        }
        ratio = figures[args.only or "detector"]["ratio"]
        threads = torch.get_num_threads()
        report("supernet_step", {"ratio": ratio, **figures, "threads": threads})


if __name__ == "__main__":
    main()
