"""One candidate of a search: our evaluation against the plain way, on the same images.

    python benchmarks/bm_candidate.py              # BCCD, the 300M space, 320 px, RetinaNet
    python benchmarks/bm_candidate.py --head fpn   # the same with Faster R-CNN and 4conv1fc
    python benchmarks/bm_candidate.py --head wide  # 50 + 50 images, 100 proposals, 256 channels

The plain way is what Detectron2 and fvcore offer: new data loaders for each candidate,
``update_bn_stats``, ``inference_on_dataset`` with one image a batch, pycocotools.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from bccd import PATH
from candidate_model import detector, load_config, train, trained
from detectron2.config import instantiate
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from detectron2.utils.events import EventStorage
from flops import counted, peak_flops
from fvcore.nn.precise_bn import update_bn_stats
from measuring import alternate, mark, median_ratio, report
from torch.profiler import ProfilerActivity, profile

from detnas_d2.data import seeded
from detnas_d2.evaluation import build_fitness, calibrated, evaluate_images, load_images
from detnas_d2.evaluation.memory import keep_freed_memory
from detnas_d2.modeling import find_supernet, folded
from detnas_d2.space import Architecture

RATIO, DIFFERENCE, SECONDS = 3.0, 0.05, 10.0  # the marks; SECONDS: of the wide head


def main(args: argparse.Namespace) -> None:
    cfg = load_config(args)
    if args.head != "wide":
        train(cfg, detector(cfg), args)
    with Contender(serve_ours, args) as ours, Contender(serve_plain, args) as plain:
        seconds = alternate({"ours": ours, "plain": plain}, args.rounds)
        values = {"ours": ours.value, "plain": plain.value}
        ratio = median_ratio(seconds["plain"], seconds["ours"])
        medians = {name: statistics.median(s) for name, s in seconds.items()}
        difference = abs(values["plain"] - values["ours"])
        print(f"plain: {medians['plain']:.2f} s, AP {values['plain']:.4f}")
        print(f"ours: {medians['ours']:.2f} s, AP {values['ours']:.4f}")
        print(f"ratio {ratio:.2f}, AP differs by {difference:.4f}; {args.rounds} alternations")
        if args.head == "wide":
            mark(f"at most {SECONDS:.0f} s", medians["ours"] <= SECONDS)
        elif not args.amp:  # the plain way has no mixed precision
            mark(f"at least {RATIO} times faster", ratio >= RATIO)
            mark(f"AP equal within {DIFFERENCE}", difference <= DIFFERENCE)
        plain.close()
        ours("split")
    figures = {
        "ratio": round(ratio, 2),
        "seconds": round(medians["ours"], 2),
        "plain_seconds": round(medians["plain"], 2),
        "AP": values["ours"],
        "plain_AP": values["plain"],
    }
    setting = {"head": args.head, "amp": args.amp, "threads": torch.get_num_threads()}
    report("candidate", {**figures, **setting})


class Contender:
    """A process of its own that measures when it is told to: ours changes how memory is freed.

    Args:
        serve: called there with a connection and the arguments.
    """

    def __init__(self, serve: Callable[..., None], args: argparse.Namespace) -> None:
        self.value = 0.0
        self._connection, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(other, args), daemon=True)
        self._process.start()
        other.close()

    def __call__(self, what: str = "measure") -> None:
        self._connection.send(what)
        self.value = self._connection.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def serve_ours(connection: Any, args: argparse.Namespace) -> None:
    logging.disable(logging.INFO)
    keep_freed_memory()  # as search_net.py does
    cfg = load_config(args)
    model = trained(cfg, args)
    images = load_images(cfg)
    fitness = build_fitness(cfg, model, images)
    path = Architecture.parse(PATH, fitness.supernet.space)
    while True:
        value = 0.0
        if connection.recv() == "split":
            split(cfg, model, images, path)
        else:
            value = fitness(path)[0]
        connection.send(value)


def serve_plain(connection: Any, args: argparse.Namespace) -> None:
    logging.disable(logging.INFO)
    cfg = load_config(args)
    plain = Plain(cfg, trained(cfg, args))
    while connection.recv():
        connection.send(plain())


class Plain:
    """The plain way: AP of the path that is set."""

    def __init__(self, cfg: Any, model: Any) -> None:
        self._cfg, self._model = cfg, model

    def __call__(self) -> float:
        dataloader, model = self._cfg.dataloader, self._model
        batches = iter(instantiate(dataloader.calibration))
        model.train()
        with EventStorage():
            update_bn_stats(model, self._seeding(batches), self._cfg.search.calibration_batches)
        model.eval()
        test = instantiate({**dataloader.test, "batch_size": 1})
        evaluator = COCOEvaluator("bccd_val", use_fast_impl=False)
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its table
            return float(inference_on_dataset(model, test, evaluator)["bbox"]["AP"])

    def _seeding(self, batches: Any) -> Any:
        """The proposals that are sampled for the box head are those of our evaluation."""
        for i in range(self._cfg.search.calibration_batches):
            batch = next(batches)
            with seeded(self._cfg.dataloader.calibration.seed, i):
                yield batch


def split(cfg: Any, model: Any, images: Any, path: Architecture) -> None:
    """Print where our time goes, and what share of the machine's peak convolutions reach."""
    supernet = find_supernet(model)
    assert supernet is not None
    evaluator = instantiate(cfg.dataloader.evaluator)
    parts: dict[str, float] = {}
    flops: list[int] = []
    device = next(model.parameters()).device.type
    with (
        supernet.use_path(path),
        torch.autocast(device, enabled=cfg.search.amp),
        counted(flops),
        profile(activities=[ProfilerActivity.CPU]) as profiler,
    ):
        start = time.perf_counter()
        with calibrated(model, images.calibration, 0):
            parts["statistics"] = time.perf_counter() - start
            with folded(model):
                start = time.perf_counter()
                evaluate_images(model, images, _Timed(evaluator, parts), cfg.search.metric)
        parts["validation"] = time.perf_counter() - start - parts["evaluator"]
    total = sum(parts.values())
    shares = "  ".join(f"{name} {s:.2f} s ({s / total:.0%})" for name, s in parts.items())
    print(f"under the profiler: {shares}")
    seconds = {e.key: e.self_cpu_time_total / 1e6 for e in profiler.key_averages()}
    conv = sum(s for key, s in seconds.items() if "conv" in key)
    speed, peak = sum(flops) / conv, peak_flops(cfg.search.amp)
    print(
        f"convolutions: {sum(flops) / 1e9:.0f} GFLOP in {conv:.2f} s, {speed / 1e9:.0f} GFLOP/s, "
        f"{speed / peak:.0%} of the peak of {peak / 1e9:.0f} (the best of four large convolutions)"
    )
    others = sorted(((s, k) for k, s in seconds.items() if "conv" not in k), reverse=True)
    print("other operators: " + ", ".join(f"{k} {s:.2f} s" for s, k in others[:10]))


class _Timed:
    """An evaluator whose time is counted apart."""

    def __init__(self, evaluator: Any, parts: dict[str, float]) -> None:
        self._evaluator, self._parts = evaluator, parts
        parts["evaluator"] = 0.0

    def reset(self) -> None:
        self._evaluator.reset()

    def process(self, inputs: Any, outputs: Any) -> None:
        self._count(lambda: self._evaluator.process(inputs, outputs))

    def evaluate(self) -> Any:
        return self._count(self._evaluator.evaluate)

    def _count(self, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = run()
        self._parts["evaluator"] += time.perf_counter() - start
        return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", choices=["retinanet", "fpn", "wide"], default="retinanet")
    parser.add_argument("--amp", action="store_true", help="with search.amp=True")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, help="of the training, 250 and 600 if left out")
    main(parser.parse_args())
