"""The path of each training iteration: uniform over the space (DetNAS section 3.2)."""

from detectron2.config import LazyCall as L

from detnas_d2.space import UniformPathSampler

path_sampler = L(UniformPathSampler)(space="300m", seed="${train.seed}")
