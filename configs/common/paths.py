"""The path of each training iteration (DetNAS section 3.2), uniform over a set of architectures."""

from detectron2.config import LazyCall as L

from detnas_d2.space import FlopsRangePathSampler, UniformPathSampler

# over the whole space
path_sampler = L(UniformPathSampler)(space="300m", seed="${train.seed}")

# over those of 290M to 360M multiply-adds, as the published ImageNet supernet draws
path_sampler_290m_360m = L(FlopsRangePathSampler)(
    space="300m", seed="${train.seed}", low=290_000_000, high=360_000_000
)
