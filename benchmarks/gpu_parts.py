"""The parts of gpu.sh, each a process: python benchmarks/gpu_parts.py PART WORK FIGURES [--tiny]

They work in the folder WORK on made images and add lines of JSON to the file FIGURES. Trainings and
searches are calls of train_net.py and search_net.py with the paper's configs; --tiny makes images
and networks so small that a CPU does all parts in a minute.
"""

from __future__ import annotations

import argparse
import configparser
import importlib
import itertools
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_sizes import FULL, TINY, Size

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "Jinja2": "jinja2",
    "Pillow": "PIL",
    "PyYAML": "yaml",
    "hydra-core": "hydra",
    "opencv-python": "cv2",
}
"""Of packages whose module has another name."""
STEP2 = "coco/step2_supernet_fpn_300m"
PATH = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"  # DetNASNet, COCO, FPN
STEP3 = "coco/step3_search_fpn_300m"
NO_TEST = "dataloader.evaluator=null"
WAIT = 0.05  # seconds


@dataclass(frozen=True)
class Part:
    """What a part is given."""

    size: Size
    work: Path
    figures: Path

    def note(self, name: str, **figures: Any) -> None:
        """Print a line of figures, and add it to the file."""
        line = json.dumps({"part": name, **figures})
        print(line, flush=True)
        with open(self.figures, "a") as file:
            print(line, file=file)

    def overrides(self, kind: tuple[str, ...], name: str) -> list[str]:
        return [*self.size.overrides, *kind, "train.init_checkpoint=", f"train.output_dir={name}"]

    def start(self, script: str, config: str, *arguments: str) -> subprocess.Popen[bytes]:
        file = ROOT / "configs" / f"{config}.py"
        command = [sys.executable, str(ROOT / script), "--config-file", str(file), *arguments]
        return subprocess.Popen(command, cwd=self.work)

    def run(self, script: str, config: str, *arguments: str) -> None:
        """A script to its end; one that fails has said why."""
        status = self.start(script, config, *arguments).wait()
        if status:
            sys.exit(status)

    def lines(self, name: str) -> list[dict[str, float]]:
        """What a training wrote of its iterations."""
        text = (self.work / name / "metrics.json").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def speed(self, name: str) -> dict[str, Any]:
        """Milliseconds of a step, those that wait for its images, and MB of the GPU at most."""
        lines = self.lines(name)
        memory = re.findall(r"max_mem: (\d+)M", (self.work / name / "log.txt").read_text())
        return {
            "milliseconds": round(1000 * lines[-1]["time"], 2),
            "of_which_data": round(1000 * lines[-1]["data_time"], 2),
            "peak_MB": int(memory[-1]) if memory else None,
            "loss": lines[-1]["total_loss"],
        }


def check(part: Part) -> None:
    """Everything that the project needs is there; notes machine and versions."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].splitlines()
    packages = [re.split("[<>=]", line)[0] for line in required if line and line[0] != "#"]
    lacking = [x for x in [*packages, "detectron2"] if not _imports(MODULES.get(x, x))]
    if lacking:
        sys.exit(
            f"{sys.executable} (Python {platform.python_version()}) can't import "
            f"{', '.join(lacking)}; install them, or name another Python by PYTHON=…"
        )
    import torch
    from measuring import machine, versions

    if part.size is FULL and not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU here; on a CPU: benchmarks/gpu.sh --tiny")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    tf32 = torch.backends.cudnn.allow_tf32
    part.note("machine", machine=machine(), gpu=gpu, tf32=tf32, versions=versions())


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        print(f"import {module}: {error}")
        return False
    return True


def data(part: Part) -> None:
    """Made images in the place of COCO and ImageNet."""
    from made_data import write_coco, write_image_folder

    size, coco = part.size, part.work / "datasets" / "coco"
    names = [f"class {i}" for i in range(80)]
    counts = {"supernet": size.train_images, "search": size.search_images}
    for seed, (name, count) in enumerate(counts.items()):
        file = coco / "annotations" / f"instances_{name}.json"
        write_coco(file, coco / "train2017", count, size.image, names, seed)
    imagenet = part.work / "datasets" / "imagenet"
    write_image_folder(imagenet, size.classes, 2, size.photograph, seed=2)


def candidate(part: Part) -> None:
    """One candidate of a search: seconds of the statistics and of the validation's forwards."""
    import torch

    from detnas_d2.driver import build_supernet
    from detnas_d2.engine import load_config, require_supernet
    from detnas_d2.evaluation import calibrated, load_images
    from detnas_d2.modeling import folded

    overrides = part.overrides(part.size.detection, "candidate")
    overrides.append(f"search.calibration_batches={part.size.calibration_batches}")
    cfg = load_config(str(ROOT / f"configs/{STEP3}.py"), overrides)
    torch.manual_seed(0)
    model = build_supernet(cfg)
    supernet = require_supernet(model, "A candidate")
    images = load_images(cfg)
    device = next(model.parameters()).device
    on_gpu = device.type == "cuda"

    def moment() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def evaluate(layout: str, amp: bool) -> tuple[float, float]:
        model.to(memory_format=LAYOUTS[layout])
        start = moment()
        with (
            torch.no_grad(),
            supernet.use_path(PATH),
            torch.autocast(device.type, enabled=amp),
            calibrated(model, images.calibration, 0),
            folded(model),
        ):
            middle = moment()
            for batch in images.validation:
                model(batch)
            return middle - start, moment() - middle

    LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
    ways = list(itertools.product(LAYOUTS, (False, True)))
    seconds: dict[tuple[str, bool], list[tuple[float, float]]] = {way: [] for way in ways}
    peaks = {}
    for _ in range(1 + part.size.rounds):
        for way in ways:
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            seconds[way].append(evaluate(*way))
            peaks[way] = torch.cuda.max_memory_allocated() >> 20 if on_gpu else None
    for way in ways:
        of_statistics, of_validation = zip(*seconds[way][1:], strict=True)  # the first warms up
        part.note(
            "candidate",
            layout=way[0],
            amp=way[1],
            statistics_seconds=round(statistics.median(of_statistics), 4),
            statistics_images=sum(map(len, images.calibration)),
            validation_seconds=round(statistics.median(of_validation), 4),
            validation_images=sum(map(len, images.validation)),
            rounds=part.size.rounds,
            peak_MB=peaks[way],
        )


def steps(part: Part, name: str = "steps", amp: bool = False) -> None:
    """Steps of the detection supernet."""
    count = part.size.steps
    overrides = part.overrides(part.size.detection, name)
    overrides += [f"train.max_iter={count}", f"train.amp.enabled={amp}", NO_TEST]
    part.run("train_net.py", STEP2, *overrides)
    part.note(name, steps=count, **part.speed(name))


def mixed(part: Part) -> None:
    """The same in mixed precision."""
    if part.size is TINY:
        part.note("mixed", skipped="a training in mixed precision needs a GPU")
    else:
        steps(part, "mixed", amp=True)


def classification(part: Part) -> None:
    """Steps of the classification supernet, its images decoded from files."""
    count, name = part.size.classification_steps, "classification"
    overrides = part.overrides(part.size.classification, name)
    overrides += [f"train.max_iter={count}", "dataloader.train.dataset.names=imagenet_train"]
    part.run("train_net.py", "imagenet/step1_supernet_300m", *overrides, NO_TEST)
    part.note(name, steps=count, **part.speed(name))


def resume(part: Part) -> None:
    """A training that kill -9 ends half-way goes on from its checkpoint, with finite losses."""
    count, folder = part.size.resumed_steps, part.work / "resume"
    period = count // 4
    overrides = [
        *part.overrides(part.size.detection, "resume"),
        *(f"train.max_iter={count}", f"train.checkpointer.period={period}"),
        NO_TEST,
    ]
    first = part.start("train_net.py", STEP2, *overrides)
    while not (folder / "last_checkpoint").exists():  # written after the checkpoint itself
        if first.poll() is not None:
            sys.exit(f"the training ended with status {first.returncode} before its checkpoint")
        time.sleep(WAIT)
    first.kill()
    if first.wait() == 0:
        sys.exit("the training came to its end before it was killed")
    checkpoint = (folder / "last_checkpoint").read_text().strip()
    start = int(checkpoint[len("model_") : -len(".pth")]) + 1
    part.run("train_net.py", STEP2, "--resume", *overrides)
    if f"Starting training from iteration {start}\n" not in (folder / "log.txt").read_text():
        sys.exit(f"the resumed training did not go on from {checkpoint}, at iteration {start}")
    lines = part.lines("resume")
    losses = [line["total_loss"] for line in lines]
    if lines[-1]["iteration"] != count - 1 or not all(map(math.isfinite, losses)):
        sys.exit(f"it ended at iteration {lines[-1]['iteration']} of {count}; losses: {losses}")
    part.note("resume", resumed_at=start, iterations=count, losses=losses)


def worker(part: Part) -> None:
    """A search with one Ray worker, on an untrained supernet."""
    if not _imports("ray"):
        part.note("worker", skipped="ray is not installed")
        return
    from detnas_d2.driver import build_supernet
    from detnas_d2.engine import DetNASCheckpointer, load_config

    overrides = part.overrides(part.size.detection, "worker")
    supernet = build_supernet(load_config(str(ROOT / f"configs/{STEP3}.py"), overrides))
    DetNASCheckpointer(supernet, str(part.work)).save("untrained")
    start = time.perf_counter()
    part.run(
        "search_net.py",
        STEP3,
        *overrides,
        "train.init_checkpoint=untrained.pth",
        f"search.calibration_batches={part.size.calibration_batches}",
        "search.workers=1",
        "search.algorithm.population=2",
        f"search.algorithm.generations={part.size.generations}",
        "search.algorithm.parents=1",
        "model.roi_heads.box_predictor.test_score_thresh=0.0",  # untrained: all scores are low
        "search.retrain=[]",
    )
    lines = (part.work / "worker" / "ledger.jsonl").read_text().splitlines()[1:]
    records = [json.loads(line) for line in lines]
    if not records or any(record["status"] != "ok" for record in records):
        sys.exit(f"candidates failed: {records}")
    part.note(
        "worker",
        candidates=len(records),
        seconds=[round(record["seconds"], 3) for record in records],
        seconds_in_all=round(time.perf_counter() - start, 1),
    )


PARTS: dict[str, Callable[[Part], None]] = {
    p.__name__: p for p in (check, data, candidate, steps, mixed, classification, resume, worker)
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("work", type=Path)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    os.environ["DETECTRON2_DATASETS"] = str(args.work / "datasets")  # before they are registered
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    sys.path.insert(1, str(ROOT))
    PARTS[args.part](Part(TINY if args.tiny else FULL, args.work, args.figures))


if __name__ == "__main__":
    main()
