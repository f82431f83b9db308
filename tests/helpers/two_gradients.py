"""Run by tests/engine/test_parallel.py: gradients and norms on several gloo processes.

python two_gradients.py FOLDER PROCESSES
"""

from __future__ import annotations

import copy
import itertools
import sys
from pathlib import Path
from unittest.mock import patch

import tiny
import torch
import torch.distributed as dist
from detectron2.config import instantiate
from detectron2.engine import launch
from detectron2.layers import NaiveSyncBatchNorm
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from host_syncs import HostSyncs
from sync_norms import all_norms
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from detnas_d2.engine import parallel
from detnas_d2.engine.parallel import averaged_gradients, broadcast_model, gradient_group
from detnas_d2.engine.train_step import PathwiseStep
from detnas_d2.modeling import find_supernet


def classifier():
    """A supernet without dropout, which would draw other numbers on other ranks."""
    cfg = tiny.classifier("unused", norm="naiveSyncBN").model
    cfg.dropout = 0.0
    torch.manual_seed(0)
    return instantiate(cfg)


def classifier_batch():
    return [tiny.NoiseMapper(augment=False)(r) for r in tiny.records("train", 8)]


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
    return model


def detector_batch():
    mapper = tiny.NoiseMapper(size=96, augment=False, boxes=2)
    return [mapper(record) for record in tiny.records("train", 4)]


def share(batch):
    """This process's part of the whole batch."""
    per_rank = len(batch) // comm.get_world_size()
    return batch[comm.get_rank() * per_rank :][:per_rank]


def gradients_of(model):
    return {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def step(model, batch):
    """The gradients after a training step that moves no weight."""
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with EventStorage(), torch.random.fork_rng():
        torch.manual_seed(0)
        PathwiseStep(model, itertools.repeat(batch), optimizer).run_step()
    return gradients_of(model)


def plain_mean(model, batch):
    """A second derivation of the same: all gradients after backward, gathered, summed, divided."""
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    with EventStorage(), torch.random.fork_rng():
        torch.manual_seed(0)
        sum(model.train()(batch).values()).backward()
    size, mean = comm.get_world_size(), {}
    for name, gradient in gradients_of(model).items():
        mean[name] = gradient
        if gradient is not None and size > 1:
            every = [torch.empty_like(gradient) for _ in range(size)]
            dist.all_gather(every, gradient)
            mean[name] = sum(every) / size
    return mean


def sent(model, batch):
    """Of each all-reduce of the gradients: bytes, and how many of the path still lack theirs."""
    found = []
    all_reduce = dist.all_reduce
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    idle = {id(p) for p in find_supernet(model).inactive_parameters()}
    running = [p for p in model.parameters() if id(p) not in idle]

    def counted(tensor, *args, **kwargs):
        if kwargs.get("async_op"):  # the norms' are not
            missing = sum(p.grad is None for p in running)
            found.append((tensor.numel() * tensor.element_size(), missing))
        return all_reduce(tensor, *args, **kwargs)

    with patch.object(dist, "all_reduce", counted), patch.object(parallel, "BUCKET_ELEMENTS", 1000):
        step(model, batch)
    return found


def sent_by_ddp(model, batch):
    """Bytes of one step's buckets of DistributedDataParallel."""
    find_supernet(model).set_path(tiny.ARCHITECTURE)
    found = []

    def hook(state, bucket):
        found.append(bucket.buffer().numel() * bucket.buffer().element_size())
        work = dist.all_reduce(bucket.buffer(), async_op=True)
        return work.get_future().then(lambda future: future.value()[0])

    ddp = DistributedDataParallel(model, find_unused_parameters=True)
    ddp.register_comm_hook(None, hook)
    with EventStorage():
        sum(ddp(batch).values()).backward()
    return sum(found)


def host_syncs(model, batch):
    """Who makes the host wait in a step."""
    with HostSyncs() as syncs:
        step(model, batch)
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


def twice():
    """What is said of a parameter that backward comes to twice, inside of two checkpoints."""
    layer = nn.Linear(2, 2)
    x = torch.ones(1, 2, requires_grad=True)
    for _ in range(2):
        x = checkpoint(layer, x, use_reentrant=True)
    try:
        with averaged_gradients(layer.parameters(), gradient_group(x.device)):
            x.sum().backward()
    except ValueError as e:
        return str(e)
    return None


def broadcast():
    torch.manual_seed(comm.get_rank())
    norm = nn.BatchNorm1d(3)
    nn.init.normal_(norm.weight)
    norm.running_mean.fill_(comm.get_rank())
    broadcast_model(norm)
    return norm.state_dict()


def work(folder: str) -> None:
    torch.set_num_threads(1)
    result = {
        "partial": partial(),
        "late": head_without_object(),
        "twice": twice(),
        "broadcast": broadcast(),
    }
    for kind, model, batch in (
        ("classifier", classifier(), share(classifier_batch())),
        ("detector", detector(), share(detector_batch())),
    ):
        result[kind] = {
            "step": step(copy.deepcopy(model), batch),
            "plain": plain_mean(copy.deepcopy(model), batch),
            "syncs": host_syncs(copy.deepcopy(model), batch),
            "sent": sent(copy.deepcopy(model), batch),
        }
        if comm.get_world_size() > 1:
            result[kind]["ddp"] = sent_by_ddp(copy.deepcopy(model), batch)
    if comm.get_world_size() > 1:
        result["norms"] = all_norms()
    torch.save(result, Path(folder) / f"of{comm.get_world_size()}_rank{comm.get_rank()}.pth")


if __name__ == "__main__":
    launch(work, int(sys.argv[2]), dist_url="auto", args=(sys.argv[1],))
