"""Search over a space: Algorithm 2, random search, the ledger and the executors.

Pure Python and numpy. It knows nothing of detectors: fitness and cost are handed in.
"""

from .errors import LedgerError, LedgerLocked, LedgerMismatch, LimitError, SearchError
from .evaluator import Evaluate, Evaluator
from .evolution import EvolutionarySearch
from .executor import Executor, Fitness, InProcessExecutor, Measurement, measure
from .given import GivenArchitectures
from .ledger import Ledger
from .ledger_format import make_header, read_ledger
from .limits import FlopsLimit, Limit
from .operators import crossover, mutate, random_architecture
from .progress import Progress
from .random_search import RandomSearch
from .record import Evaluation, rank
from .results import SearchResult, format_top, write_best

__all__ = [
    "Evaluate",
    "Evaluation",
    "Evaluator",
    "EvolutionarySearch",
    "Executor",
    "Fitness",
    "FlopsLimit",
    "GivenArchitectures",
    "InProcessExecutor",
    "Ledger",
    "LedgerError",
    "LedgerLocked",
    "LedgerMismatch",
    "Limit",
    "LimitError",
    "Measurement",
    "Progress",
    "RandomSearch",
    "SearchError",
    "SearchResult",
    "crossover",
    "format_top",
    "make_header",
    "measure",
    "mutate",
    "random_architecture",
    "rank",
    "read_ledger",
    "write_best",
]
