"""The path of each training iteration (Algorithm 1, lines 4 and 9)."""

from detectron2.config import LazyCall as L

from detnas_d2.space import FlopsRangePathSampler, UniformPathSampler

# uniform over the whole space
path_sampler = L(UniformPathSampler)(space="300m", seed="${train.seed}")

# As the published ImageNet supernet of 300M draws (the authors' Supernet-ImageNet/train.py): a bin
# of 10M multiply-adds from 290M to 360M, then a path in it. They count the classifier's layers too,
# which CostTable leaves out: the last 1x1 convolution, 640 to 1024 channels at 7x7 positions, and
# 1024 x 1000 for the classes, 33,136,640 together ("rest_operation" in their flops.py).
_rest = 7 * 7 * 640 * 1024 + 1024 * 1000
path_sampler_in_bins = L(FlopsRangePathSampler)(
    space="300m",
    seed="${train.seed}",
    low=290_000_000 - _rest,
    high=360_000_000 - _rest,
    bins=7,
)
