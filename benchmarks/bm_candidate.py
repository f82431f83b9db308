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
import functools
import io
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import update_bn_stats
from measuring import PATH, alternate, bccd, first, mark, parser, report
from torch import nn

from detnas_d2.data import seeded
from detnas_d2.evaluation.cpu import keep_freed_memory
from detnas_d2.modeling import require_supernet
from detnas_d2.space import Architecture

OUTPUT = Path("output/bm_candidate")
# iterations and learning rate; without norm in FPN and head a detector learns slowly
TRAINING = {"fpn": (250, 2e-3), "retinanet": (600, 7e-4)}
RATIO, DIFFERENCE, SECONDS = 3.0, 0.05, 10.0  # the marks; SECONDS: of the wide head


def main(args: argparse.Namespace) -> None:
    setting = (args.head, args.amp, args.tiny)
    weights = None if args.head == "wide" else train(*setting)
    values: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        # a process of its own for each: ours changes how memory is freed
        context = multiprocessing.get_context("spawn")
        builds = {"plain": build_plain, "ours": build_ours}
        pools = {name: stack.enter_context(ProcessPoolExecutor(1, context)) for name in builds}

        def measure(name: str) -> None:
            work = pools[name].submit(_measure, builds[name], weights, *setting)
            values[name] = work.result()

        contenders = {name: partial(measure, name) for name in pools}
        ratio, seconds = alternate(contenders, args.rounds)
    if args.head == "wide":
        mark(f"at most {SECONDS:.0f} s", seconds["ours"] <= SECONDS)
    elif not args.amp:  # the plain way has no mixed precision
        mark(f"at least {RATIO} times faster", ratio >= RATIO)
        mark(f"AP equal within {DIFFERENCE}", abs(values["plain"] - values["ours"]) <= DIFFERENCE)
    figures = {"ratio": ratio, "seconds": seconds, "AP": values, "head": args.head}
    report("candidate", {**figures, "amp": args.amp, "threads": torch.get_num_threads()})


def _measure(build: Callable[..., Any], *setting: Any) -> float:
    return _built(build, *setting)()


@functools.cache
def _built(
    build: Callable[..., Any], weights: Path | None, head: str, amp: bool, tiny: bool
) -> Callable[[], float]:
    """A contender, once in its process."""
    logging.disable(logging.INFO)
    cfg = load_config(head, amp, tiny)
    model = detector(cfg)
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
    contender: Callable[[], float] = build(cfg, model)
    return contender


def build_ours(cfg: Any, model: Any) -> Callable[[], float]:
    keep_freed_memory()  # as search_net.py does
    fitness = instantiate(cfg.search.fitness)
    score = fitness.build(cfg, model, fitness.load(cfg))
    path = Architecture.parse(PATH, require_supernet(model, "A candidate").space)
    return lambda: score(path)[0]


def build_plain(cfg: Any, model: Any) -> Callable[[], float]:
    """The plain way: AP of the path that is set."""
    dataloader, count = cfg.dataloader, cfg.search.fitness.calibration_batches

    def seeding(batches: Any) -> Any:
        """The proposals that are sampled for the box head are those of our evaluation."""
        for i in range(count):
            batch = next(batches)
            with seeded(dataloader.calibration.seed, i):
                yield batch

    def measure() -> float:
        batches = iter(instantiate(dataloader.calibration))
        model.train()
        with EventStorage():
            update_bn_stats(model, seeding(batches), count)
        model.eval()
        test = instantiate({**dataloader.test, "batch_size": 1})
        evaluator = COCOEvaluator("bccd_val", use_fast_impl=False)
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its table
            return float(inference_on_dataset(model, test, evaluator)["bbox"]["AP"])

    return measure


def load_config(head: str, amp: bool, tiny: bool) -> Any:
    """BCCD at 320 pixels: as many images for the statistics as for validation."""
    cfg = bccd("step3_search_fpn")
    cfg.model = bccd(f"step3_search_{'retinanet' if head == 'retinanet' else 'fpn'}").model
    cfg.train.output_dir = str(OUTPUT)
    cfg.search.fitness.update(batch_size=8, amp=amp, calibration_batches=2 if tiny else 22)
    if head == "retinanet":  # as in the paper: norm in the backbone alone
        cfg.model.backbone.norm = cfg.model.head.norm = ""
    if head == "wide":
        cfg.model.backbone.out_channels = 256
        cfg.model.proposal_generator.pre_nms_topk = (1000, 1000)
        cfg.model.proposal_generator.post_nms_topk = (100, 100)
        cfg.model.roi_heads.batch_size_per_image = 100
        cfg.model.roi_heads.box_head.conv_dims = [256] * 4
        cfg.model.roi_heads.box_head.fc_dims = [1024]
        cfg.dataloader.calibration.total_batch_size = 5
        cfg.search.fitness.calibration_batches = 10
        cfg.dataloader.test.dataset = L(first)(names="bccd_val", count=50)
    return cfg


def detector(cfg: Any) -> Any:
    """The supernet's detector with the path set, its weights drawn from a fixed seed."""
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    require_supernet(model, "A candidate").set_path(PATH)
    return model


def train(head: str, amp: bool, tiny: bool) -> Path:
    """Train the path until it finds something: APs of 0 are equal whatever happens."""
    iterations, rate = TRAINING[head]
    iterations = 2 if tiny else iterations
    file = OUTPUT / f"{head}_{iterations}_{rate}.pth"
    if file.exists():
        return file
    print(f"training the path: {iterations} iterations", flush=True)
    cfg = load_config(head, amp, tiny)
    model = detector(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, iterations)
    batches = iter(instantiate(cfg.dataloader.train))
    with EventStorage():
        for i in range(1, iterations + 1):
            with seeded(0, i):
                losses = model(next(batches))
            optimizer.zero_grad(set_to_none=True)
            sum(losses.values()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)
    return file


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--head", choices=["retinanet", "fpn", "wide"], default="retinanet")
    arguments.add_argument("--amp", action="store_true", help="with search.fitness.amp=True")
    arguments.add_argument("--tiny", action="store_true", help="hardly any training and images")
    main(arguments.parse_args())
