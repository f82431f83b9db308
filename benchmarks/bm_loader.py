"""What the training process waits for a batch that its data workers have ready: one tensor of all
images against one an image.

    python benchmarks/bm_loader.py

A classification batch of 128 images of 224 pixels, two workers of each contender. Images are made
up, for what is measured is how a batch gets from one process to another: before each measurement
the workers have filled their queues and wait, and the time is that of one next().
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from measuring import mark, median_ratio, report

from detnas_d2.data import ImageBatch, build_train_loader

WORKERS = 2
WARM_UP = 2 * WORKERS  # batches made at the same time, which may arrive in another order
MARK = 10


class AsList:
    """As a batch came before: a list of dicts with a tensor each."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        image = torch.full((3, self._size, self._size), record["image_id"] % 256, dtype=torch.uint8)
        return {**record, "height": 375, "width": 500, "image": image}


class Stacked(AsList):
    collate = ImageBatch.collate


def main(args: argparse.Namespace) -> None:
    records = [
        {"file_name": f"train/n01440764/n01440764_{i}.JPEG", "image_id": i, "category_id": i % 1000}
        for i in range(10_000)
    ]
    streams = {
        name: iter(
            build_train_loader(
                records,
                mapper(args.size),
                args.images,
                num_workers=WORKERS,
                aspect_ratio_grouping=False,
            )
        )
        for name, mapper in (("list", AsList), ("stacked", Stacked))
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in streams}
    for number in range(WARM_UP + args.rounds):
        for name, stream in streams.items():
            time.sleep(args.pause)
            start = time.perf_counter()
            batch = next(stream)
            seconds = time.perf_counter() - start
            assert len(batch) == args.images
            del batch
            if number >= WARM_UP:
                milliseconds[name].append(1000 * seconds)
    ratio = median_ratio(milliseconds["list"], milliseconds["stacked"])
    figures = {}
    for name, times in milliseconds.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"{name}: {middle:.2f} ms a batch ({low:.2f} to {high:.2f})")
        figures[f"{name}_ms"] = [round(x, 3) for x in (middle, low, high)]
    mark(f"at least {MARK} times faster", ratio >= MARK)
    report("loader", {"ratio": round(ratio, 2), **figures, "images": args.images})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=128, help="of a batch")
    parser.add_argument("--size", type=int, default=224, help="of an image, pixels")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds for the workers to fill")
    main(parser.parse_args())
