"""
Search spaces, architectures, their exact costs and the samplers of paths.

Pure Python and numpy: nothing here knows of torch or Detectron2.
"""

from .architecture import Architecture
from .block_cost import BlockCost
from .choices import Choice, Conv, ShuffleChoice, XceptionChoice
from .cost import CostTable
from .errors import ArchitectureError, SpaceError
from .latency_table import LATENCY_ERROR, LatencyTable
from .sampler import (
    FlopsRangePathSampler,
    PathSampler,
    StrictlyFairPathSampler,
    UniformPathSampler,
)
from .space import BlockSpec, SearchSpace, Stage
from .spaces import SPACES, feature_channels, get_space, resolve_space

__all__ = [
    "LATENCY_ERROR",
    "SPACES",
    "Architecture",
    "ArchitectureError",
    "BlockCost",
    "BlockSpec",
    "Choice",
    "Conv",
    "CostTable",
    "FlopsRangePathSampler",
    "LatencyTable",
    "PathSampler",
    "SearchSpace",
    "ShuffleChoice",
    "SpaceError",
    "Stage",
    "StrictlyFairPathSampler",
    "UniformPathSampler",
    "XceptionChoice",
    "feature_channels",
    "get_space",
    "resolve_space",
]
