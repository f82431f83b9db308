"""nn.SyncBatchNorm on a CPU: its own Python, with plain forms of the kernels that GPUs have."""

from __future__ import annotations

import torch
import torch.distributed as dist
from detectron2.layers import NaiveSyncBatchNorm
from detectron2.utils import comm
from host_syncs import HostSyncs
from torch.nn.modules._functions import SyncBatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
EPS, MOMENTUM = 1e-5, 0.1


class Kernels(TorchDispatchMode):
    """The five operations of SyncBatchNorm that have no CPU form; x is (N, C, H, W)."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return PLAIN.get(func.overloadpacket, func)(*args, **(kwargs or {}))


def stats(x, eps):
    return x.mean((0, 2, 3)), (x.var((0, 2, 3), correction=0) + eps).rsqrt()


def gather_stats(x, means, invstds, running_mean, running_var, momentum, eps, counts):
    share = (counts / counts.sum())[:, None]
    mean = (means * share).sum(0)
    var = ((invstds**-2 - eps + means**2) * share).sum(0) - mean**2
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * counts.sum() / (counts.sum() - 1) - running_var)
    return mean, (var + eps).rsqrt()


def normalise(x, weight, bias, mean, invstd, eps):
    return (x - by_channel(mean)) * by_channel(invstd * weight) + by_channel(bias)


def reduce_gradient(gradient, x, mean, invstd, weight, *needed):
    sum_dy = gradient.sum((0, 2, 3))
    sum_dy_xmu = (gradient * (x - by_channel(mean))).sum((0, 2, 3))
    return sum_dy, sum_dy_xmu, sum_dy_xmu * invstd, sum_dy.clone()


def gradient_of_input(gradient, x, mean, invstd, weight, sum_dy, sum_dy_xmu, counts):
    centred = (x - by_channel(mean)) * by_channel(invstd**2 * sum_dy_xmu / counts.sum())
    return (gradient - by_channel(sum_dy / counts.sum()) - centred) * by_channel(invstd * weight)


def by_channel(t):
    return t[:, None, None]


PLAIN = {
    aten.batch_norm_stats: stats,
    aten.batch_norm_gather_stats_with_counts: gather_stats,
    aten.batch_norm_elemt: normalise,
    aten.batch_norm_backward_reduce: reduce_gradient,
    aten.batch_norm_backward_elemt: gradient_of_input,
}


def images(rank, equal):
    """Two images of each process, those of the second one narrower where they are not equal."""
    generator = torch.Generator().manual_seed(rank)
    width = 6 if equal or rank == 0 else 2
    return torch.rand(2, 3, 4, width, generator=generator) * (1 + rank) + rank


def one_norm(name, equal):
    """Outputs, statistics, gradient and host synchronisations of one norm on all processes."""
    x = images(comm.get_rank(), equal).requires_grad_()
    norm = NaiveSyncBatchNorm(3, eps=EPS, momentum=MOMENTUM)
    with HostSyncs() as forward, Kernels():
        if name == "SyncBN":
            y = SyncBatchNorm.apply(
                x,
                norm.weight,
                norm.bias,
                norm.running_mean,
                norm.running_var,
                EPS,
                MOMENTUM,
                dist.group.WORLD,
                comm.get_world_size(),
            )
        else:
            y = norm(x)
    with HostSyncs() as backward, Kernels():
        y.pow(3).sum().backward()
    return {
        "output": y.detach(),
        "gradient": x.grad,
        "running_mean": norm.running_mean,
        "running_var": norm.running_var,
        "forward": forward.found.total(),
        "backward": backward.found.total(),
    }


def all_norms():
    return {(n, e): one_norm(n, e) for n in ("SyncBN", "naiveSyncBN") for e in (True, False)}
