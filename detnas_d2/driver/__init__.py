"""What search_net.py puts together out of a config: limits, algorithm, executor, header, files."""

from .configured import build_algorithm, build_fitness, build_limit
from .default_executor import CandidateExecutor, DefaultExecutor
from .description import write_description
from .detections import write_detections
from .resuming import search_header, search_ledger
from .retraining import retrainings

__all__ = [
    "CandidateExecutor",
    "DefaultExecutor",
    "build_algorithm",
    "build_fitness",
    "build_limit",
    "retrainings",
    "search_header",
    "search_ledger",
    "write_description",
    "write_detections",
]
