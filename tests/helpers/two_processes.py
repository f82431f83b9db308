"""Run by tests/engine/test_parallel.py: trainings, gradients, evaluators on gloo processes.

python two_processes.py FOLDER PROCESSES
"""

from __future__ import annotations

import copy
import itertools
import json
import signal
import sys
from pathlib import Path
from unittest.mock import patch

import tiny
import torch
import torch.distributed as dist
from detectron2.config import LazyCall as L
from detectron2.config import instantiate
from detectron2.data import MetadataCatalog
from detectron2.engine import HookBase, launch
from detectron2.layers import NaiveSyncBatchNorm
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from host_syncs import HostSyncs
from torch import nn

from detnas_d2.engine import build_trainer, parallel
from detnas_d2.engine.parallel import averaged_gradients, broadcast_model, gradient_group
from detnas_d2.engine.train_step import PathwiseStep
from detnas_d2.evaluation import ClassificationEvaluator, FastCOCOEvaluator
from detnas_d2.modeling import find_supernet
from detnas_d2.space import StrictlyFairPathSampler

# gradients


def detector():
    """Faster R-CNN whose losses of several images average to the loss of the whole batch.

    RPN's losses are sums over an equal number of anchors of each image, drawn at random: here
    all of them count. The losses of the ROI heads are means over all proposals, drawn at random:
    here each image has 10 (nothing is suppressed, 10 are kept) besides its 2 boxes, and all
    count. Images are of one size, so that the norms average equal shares. Proposals are ranked,
    and a rounding that swaps two of them would change the loss by a jump: so the scores are
    spread.
    """
    model = tiny.detector("unused").model
    model.proposal_generator.batch_size_per_image = 10**6
    model.proposal_generator.nms_thresh = 1.1
    model.proposal_generator.post_nms_topk = (10, 10)
    model.roi_heads.batch_size_per_image = 10**6
    torch.manual_seed(0)
    model = instantiate(model)
    with torch.no_grad():
        model.proposal_generator.rpn_head.objectness_logits.weight *= 100
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    return model


def running_parameters(model):
    idle = {id(p) for p in find_supernet(model).inactive_parameters()}
    return [p for p in model.parameters() if id(p) not in idle]


def step(model):
    """The gradients after a step, on this process's part of four images, that moves no weight."""
    mapper = tiny.NoiseMapper(size=96, augment=False, boxes=2)
    share = [mapper(r) for r in tiny.records("train", 4)][comm.get_rank() :: comm.get_world_size()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with EventStorage(), torch.random.fork_rng():
        torch.manual_seed(0)
        PathwiseStep(model, itertools.repeat(share), optimizer).run_step()
    return {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def sent(model):
    """Of each all-reduce of the gradients: bytes, and how many of the path still lack theirs."""
    found = []
    all_reduce = dist.all_reduce
    running = running_parameters(model)

    def counted(tensor, *args, **kwargs):
        if kwargs.get("async_op"):  # the norms' are not
            missing = sum(p.grad is None for p in running)
            found.append((tensor.numel() * tensor.element_size(), missing))
        return all_reduce(tensor, *args, **kwargs)

    with patch.object(dist, "all_reduce", counted), patch.object(parallel, "BUCKET_ELEMENTS", 1000):
        step(model)
    return found


def host_syncs(model):
    """Who makes the host wait in a step."""
    with HostSyncs() as syncs:
        step(model)
    return dict(syncs.found)


def partial():
    """One parameter is used everywhere, one on the last rank only, one nowhere, one is frozen."""
    everywhere, last, nowhere, frozen = (nn.Parameter(torch.ones(2)) for _ in range(4))
    frozen.requires_grad_(False)
    rank, size = comm.get_rank(), comm.get_world_size()
    loss = (everywhere * (rank + 1)).sum()
    if rank == size - 1:
        loss = loss + (last * 6).sum()
    parameters, group = [everywhere, last, nowhere, frozen], gradient_group(loss.device)
    with HostSyncs() as syncs, averaged_gradients(parameters, group):
        loss.backward()
    return [everywhere.grad, last.grad, nowhere.grad, frozen.grad], syncs.found.total()


def passes():
    """Two passes a step, and a parameter that only the last rank uses, in the second one."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.everywhere, self.last = (nn.Parameter(torch.ones(2)) for _ in range(2))

        def forward(self, number):
            loss = (self.everywhere * (comm.get_rank() + 1) * (number + 1)).sum()
            if number and comm.get_rank() == comm.get_world_size() - 1:
                loss = loss + (self.last * 8).sum()
            return {"loss": loss}

    model = Model()
    step = PathwiseStep(model, itertools.count(), torch.optim.SGD(model.parameters(), lr=0.0))
    step.passes = 2
    with EventStorage():
        step.run_step()
    return [model.everywhere.grad.tolist(), model.last.grad.tolist()]


def head_without_object():
    """A head without gradient on the first rank, in front of norms that synchronise in backward."""
    torch.manual_seed(0)
    body = nn.Sequential(*(NaiveSyncBatchNorm(3) for _ in range(4)))
    head = nn.Conv2d(3, 3, 1)
    x = body(torch.rand(2, 3, 4, 4) + comm.get_rank())
    loss = x.square().mean()
    if comm.get_rank() == comm.get_world_size() - 1:
        loss = loss + head(x).square().mean()
    parameters, group = [*body.parameters(), *head.parameters()], gradient_group(loss.device)
    with patch.object(parallel, "BUCKET_ELEMENTS", 3), averaged_gradients(parameters, group):
        loss.backward()
    return [p.grad for p in parameters]


def broadcast():
    torch.manual_seed(comm.get_rank())
    norm = nn.BatchNorm1d(3)
    nn.init.normal_(norm.weight)
    norm.running_mean.fill_(comm.get_rank())
    broadcast_model(norm)
    return norm.state_dict()


# trainings


def classifier(folder, architecture=None, norm="naiveSyncBN"):
    """A classifier without dropout, which would draw other numbers on other ranks."""
    cfg = tiny.classifier(folder, architecture, norm=norm)
    cfg.model.dropout = 0.0
    cfg.train.eval_period = 2 if architecture else 0
    cfg.dataloader.evaluator = L(tiny.OutputSum)(dataset_name="val")
    return cfg


def fair(folder):
    """Three passes a step: every choice of each block once."""
    cfg = classifier(folder)
    cfg.path_sampler._target_ = StrictlyFairPathSampler
    return cfg


class Before(HookBase):
    """Calls `do` with the trainer before each step."""

    def __init__(self, do):
        self.before_step = lambda: do(self.trainer)


def train(cfg, do=lambda trainer: None, resume=False):
    trainer = build_trainer(cfg)
    trainer.register_hooks([Before(do)])
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def interrupted(cfg):
    try:
        train(cfg, lambda trainer: 1 // (trainer.iter - 5))
    except ZeroDivisionError:
        comm.synchronize()
    return train(cfg, resume=True)


def stopped(cfg, folder):
    """SIGTERM on one rank ends all of them, after the same iteration."""
    cfg.train.max_iter = 25

    def term(trainer):
        if trainer.iter == 5 and comm.get_rank() == comm.get_world_size() - 1:
            signal.raise_signal(signal.SIGTERM)

    try:
        train(cfg, term)
    except SystemExit as e:
        return e.code, (Path(folder) / "last_checkpoint").read_text()
    return None


# evaluators


def accuracy():
    """Each rank has a share of ten images."""
    evaluator = ClassificationEvaluator("set", topk=(1, 2))
    scores = torch.rand(10, 4, generator=torch.Generator().manual_seed(0))
    mine = range(comm.get_rank(), 10, comm.get_world_size())
    evaluator.process([{"category_id": i % 3} for i in mine], [{"scores": scores[i]} for i in mine])
    return evaluator.evaluate()


def box_ap(folder):
    """Ten images with one box of a class each, detected ever less well; the last two not at all."""
    areas = (600.0, 2000.0, 20000.0)  # small, medium and large
    box = {"bbox": [5.0, 5.0, 30.0, 20.0]}
    annotations = [
        {**box, "id": i + 1, "image_id": i, "category_id": 1 + i % 2, "area": areas[i % 3]}
        for i in range(10)
    ]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    images = [{"id": i} for i in range(10)]
    dataset = {"images": images, "categories": categories, "annotations": annotations}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"rank{comm.get_rank()}.json"
    file.write_text(json.dumps(dataset))
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
    out, paths, model = Path(folder) / f"of{world}", [], detector()

    def note(trainer):
        paths.append(tuple(trainer.model.backbone.path))

    result = {
        "step": step(copy.deepcopy(model)),
        "syncs": host_syncs(copy.deepcopy(model)),
        "sent": sent(model),
        "partial": partial(),
        "passes": passes(),
        "late": head_without_object(),
        "broadcast": broadcast(),
        "weights": train(classifier(out / "supernet"), note),
        "paths": paths,
        "fair": train(fair(out / "fair")),
        "accuracy": accuracy(),
        "box_ap": box_ap(out),
    }
    if world > 1:
        result["resumed"] = interrupted(classifier(out / "resumed"))
        result["fair_resumed"] = interrupted(fair(out / "fair_resumed"))
        # running statistics of plain BN differ between the ranks
        train(classifier(out / "plain", tiny.ARCHITECTURE, "BN"))
        interrupted(classifier(out / "plain_resumed", tiny.ARCHITECTURE, "BN"))
        result["stopped"] = stopped(classifier(out / "stopped"), out / "stopped")
    torch.save(result, Path(folder) / f"of{world}_rank{rank}.pth")


if __name__ == "__main__":
    launch(work, int(sys.argv[2]), dist_url="auto", args=(sys.argv[1],))
