"""Run by tests/engine/test_distributed.py: trainings and evaluators on several gloo processes.

python two_processes.py FOLDER PROCESSES
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import tiny
import torch
from detectron2.config import LazyCall as L
from detectron2.data import MetadataCatalog
from detectron2.engine import HookBase, launch
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm

from detnas_d2.engine import build_trainer
from detnas_d2.evaluation import ClassificationEvaluator, FastCOCOEvaluator
from detnas_d2.files import write_atomically


def classifier(folder, architecture=None, norm="naiveSyncBN"):
    """A classifier without dropout, which would draw other numbers on other ranks."""
    cfg = tiny.classifier(folder, architecture, norm=norm)
    cfg.model.dropout = 0.0
    cfg.train.eval_period = 2 if architecture else 0
    cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    return cfg


class Paths(HookBase):
    def __init__(self):
        self.paths = []

    def before_step(self):
        self.paths.append(tuple(self.trainer.model.backbone.path))


class Fail(HookBase):
    def before_step(self):
        if self.trainer.iter == 5:
            raise ZeroDivisionError


def train(cfg, *hooks, resume=False):
    trainer = build_trainer(cfg)
    trainer.register_hooks(hooks)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def interrupted(cfg):
    try:
        train(cfg, Fail())
    except ZeroDivisionError:
        comm.synchronize()
    return train(cfg, resume=True)


def stopped(cfg, folder):
    """SIGTERM on one rank ends all of them, after the same iteration."""
    cfg.train.max_iter = 45
    trainer = build_trainer(cfg)

    class Term(HookBase):
        def before_step(self):
            if self.trainer.iter == 25 and comm.get_rank() == comm.get_world_size() - 1:
                signal.raise_signal(signal.SIGTERM)

    trainer.register_hooks([Term()])
    try:
        trainer.train()
    except SystemExit as e:
        return e.code, trainer.iter, (Path(folder) / "last_checkpoint").read_text()
    return None


def accuracy():
    """Each rank has a share of ten images; the labels are the images' numbers modulo 3."""
    evaluator = ClassificationEvaluator("set", topk=(1, 2))
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(10, 4, generator=generator)
    mine = range(comm.get_rank(), 10, comm.get_world_size())
    evaluator.process([{"category_id": i % 3} for i in mine], [{"scores": scores[i]} for i in mine])
    return evaluator.evaluate()


def box_ap(folder):
    """Ten images with one box of a class each, detected ever less well; the last two not at all."""
    areas = (600.0, 2000.0, 20000.0)  # small, medium and large
    boxes = [{"bbox": [5.0, 5.0, 30.0, 20.0], "area": areas[i % 3]} for i in range(10)]
    dataset = {
        "images": [{"id": i} for i in range(10)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1 + i % 2, **box}
            for i, box in enumerate(boxes)
        ],
    }
    file = folder / f"rank{comm.get_rank()}.json"
    write_atomically(file, json.dumps(dataset))
    metadata = {"thing_classes": ["a", "b"], "thing_dataset_id_to_contiguous_id": {1: 0, 2: 1}}
    MetadataCatalog.get("gathered").set(json_file=str(file), **metadata)
    evaluator = FastCOCOEvaluator("gathered", output_dir=str(folder))
    for i in range(comm.get_rank(), 10, comm.get_world_size()):
        found = Instances((50, 50))
        found.pred_boxes = Boxes(torch.tensor([[5.0 + i, 5.0, 35.0, 25.0]]))
        found.scores = torch.tensor([1 / (1 + i)])
        found.pred_classes = torch.tensor([i % 2])
        evaluator.process([{"image_id": i}], [{"instances": found[: i < 8]}])
    metrics = evaluator.evaluate()
    MetadataCatalog.remove("gathered")
    return metrics


def work(folder: str) -> None:
    torch.set_num_threads(1)
    world, rank = comm.get_world_size(), comm.get_rank()
    out = Path(folder) / f"of{world}"
    result = {"accuracy": accuracy(), "box_ap": box_ap(out)}
    paths = Paths()
    result["weights"] = train(classifier(out / "supernet"), paths)
    result["paths"] = paths.paths
    if world > 1:
        result["resumed"] = interrupted(classifier(out / "resumed"))
        # running statistics of plain BN differ between the ranks
        train(classifier(out / "plain", tiny.ARCHITECTURE, "BN"))
        interrupted(classifier(out / "plain_resumed", tiny.ARCHITECTURE, "BN"))
        result["stopped"] = stopped(classifier(out / "stopped"), out / "stopped")
    torch.save(result, Path(folder) / f"of{world}_rank{rank}.pth")


if __name__ == "__main__":
    launch(work, int(sys.argv[2]), dist_url="auto", args=(sys.argv[1],))
