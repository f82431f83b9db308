"""What search_net.py puts together out of a config: header, limits, algorithm, executor."""

from .algorithms import build_algorithm
from .commands import retrain_commands
from .detections import write_detections
from .executors import build_executor, build_supernet
from .header import search_header
from .ledger import search_ledger
from .limits import build_limit
from .scalars import SearchScalars

__all__ = [
    "SearchScalars",
    "build_algorithm",
    "build_executor",
    "build_limit",
    "build_supernet",
    "retrain_commands",
    "search_header",
    "search_ledger",
    "write_detections",
]
