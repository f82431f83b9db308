"""Start-up time and memory of a training process: its data set read, and kept for its workers.

    python benchmarks/bm_dataset.py     # 20 minutes; 0.5 GiB and 1.4 million empty files in $TMPDIR

A file of annotations as large as COCO's train2017, with polygons, and a folder as large as
ImageNet's (names only: the files are empty), both made up. The plain way is Detectron2's: its
reader or a list of dicts, and DatasetFromList. Ours reads by the same reader, checks images and
boxes besides, and keeps what training on boxes needs; of a folder, the names. Each measurement is
made in a process of its own, and counts what comes on top of the imports.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, DatasetFromList, DatasetMapper, MetadataCatalog
from detectron2.data import get_detection_dataset_dicts as load
from detectron2.data.datasets import register_coco_instances
from measuring import mark, median_ratio, report

from detnas_d2.data import ClassificationMapper, build_train_loader, register_image_folder
from detnas_d2.data.coco import register_coco

NAME = "bm_dataset"
FIGURES = ("seconds", "peak", "steady")


def plain_coco(folder: Path) -> Any:
    register_coco_instances(NAME, {}, str(folder / "annotations.json"), str(folder / "images"))
    return DatasetFromList(load(NAME), copy=False)


def our_coco(folder: Path) -> Any:
    register_coco(NAME, folder / "annotations.json", folder / "images")
    mapper = DatasetMapper(is_train=True, augmentations=[], image_format="BGR")
    return build_train_loader(load(NAME), mapper, 16)


def plain_folder(folder: Path) -> Any:
    def read() -> list[dict[str, Any]]:
        classes = sorted(path.name for path in (folder / "train").iterdir())
        return [
            {
                "file_name": str(folder / "train" / name / file),
                "category_id": label,
                "image_id": f"train/{name}/{file}",
            }
            for label, name in enumerate(classes)
            for file in sorted(os.listdir(folder / "train" / name))
        ]

    DatasetCatalog.register(NAME, read)
    return DatasetFromList(load(NAME, filter_empty=False), copy=False)


def our_folder(folder: Path) -> Any:
    register_image_folder(NAME, folder, "train")
    mapper = ClassificationMapper(True, augmentations=[])
    dataset = load(NAME, filter_empty=False)
    return build_train_loader(dataset, mapper, 16, aspect_ratio_grouping=False)


def measure(keep: Callable[[Path], Any], folder: Path) -> tuple[float, float, float]:
    """Seconds, and MiB at the peak and at the end, in a process that has done nothing else."""
    gc.collect()
    before, start = _memory("VmRSS"), time.perf_counter()
    kept = keep(folder)
    seconds = time.perf_counter() - start
    gc.collect()
    steady = _memory("VmRSS") - before
    assert len(getattr(kept, "dataset", kept)) and MetadataCatalog.get(NAME)
    return seconds, _memory("VmHWM") - before, steady


def _memory(key: str) -> float:
    # not getrusage, whose peak has that of the process which started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def make_coco(folder: Path, images: int, boxes: int) -> None:
    """Annotations as long as COCO's: 7 boxes an image, 27 points a polygon, 520 bytes a box."""
    rng = np.random.default_rng(0)
    polygons = [
        json.dumps([np.round(rng.uniform(0, 480, 2 * int(n)), 2).tolist()])
        for n in np.clip(rng.lognormal(3.0, 0.7, min(boxes, 2000)), 4, 200)
    ]
    places, corners = rng.integers(images, size=boxes), rng.uniform(0, 300, (boxes, 2))
    sides, classes = rng.uniform(5, 180, (boxes, 2)), rng.integers(1, 81, boxes)
    (folder / "images").mkdir()
    names = [f"{i:012}.jpg" for i in range(images)]
    for name in names:
        (folder / "images" / name).touch()
    entry = '{{"license": 3, "file_name": "{}", "height": 480, "width": 640, "id": {}}}'
    with (folder / "annotations.json").open("w") as file:
        file.write('{"categories": ')
        json.dump([{"id": i, "name": f"class {i}"} for i in range(1, 81)], file)
        file.write(', "images": [' + ", ".join(map(entry.format, names, range(images))))
        file.write('], "annotations": [')
        for i in range(boxes):
            box = ", ".join(f"{x:.2f}" for x in (*corners[i], *sides[i]))
            file.write(
                f'{", " if i else ""}{{"segmentation": {polygons[i % len(polygons)]}, '
                f'"area": {sides[i].prod():.2f}, "iscrowd": 0, "image_id": {places[i]}, '
                f'"bbox": [{box}], "category_id": {classes[i]}, "id": {i + 1}}}'
            )
        file.write("]}")


def make_folder(folder: Path, names: int, classes: int) -> None:
    for c in range(classes):
        place = folder / "train" / f"n{c:08}"
        place.mkdir(parents=True)
        for i in range(c, names, classes):
            (place / f"{place.name}_{i}.JPEG").touch()


def main(args: argparse.Namespace) -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        coco, listing = Path(name) / "coco", Path(name) / "listing"
        coco.mkdir()
        make_coco(coco, args.images, args.boxes)
        make_folder(listing, args.names, args.classes)
        size = (coco / "annotations.json").stat().st_size / 2**20
        print(f"{args.images} images, {args.boxes} boxes, {size:.0f} MiB; {args.names} names")
        for what, folder, keeps in (
            ("coco", coco, (plain_coco, our_coco)),
            ("folder", listing, (plain_folder, our_folder)),
        ):
            found: tuple[list[Any], list[Any]] = ([], [])
            for _ in range(args.rounds):
                for keep, results in zip(keeps, found, strict=True):
                    results.append(_apart(keep, folder))
            for i, figure in enumerate(FIGURES):
                plain, ours = ([result[i] for result in results] for results in found)
                ratio = median_ratio(plain, ours)
                figures[f"{what}_{figure}"] = [
                    *(round(statistics.median(x), 2) for x in (plain, ours)),
                    round(ratio, 2),
                ]
                unit = "s" if figure == "seconds" else "MiB"
                print(
                    f"{what}, {figure}: plain {_range(plain)} {unit}, ours {_range(ours)} {unit}, "
                    f"ratio {ratio:.2f}"
                )
    memory = [x[2] for name, x in figures.items() if not name.endswith("seconds")]
    mark("less memory, at the peak and after it", min(memory) > 1)
    report("dataset", {"ratio": figures["coco_steady"][2], **figures, "rounds": args.rounds})


def _apart(keep: Callable[[Path], Any], folder: Path) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, keep, folder).result()


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--boxes", type=int, default=860_001)
    parser.add_argument("--names", type=int, default=1_281_167)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args())
