"""Search over a space: Algorithm 2, NSGA-II, random search, the ledger and the executors.

It needs no PyTorch and knows nothing of detectors: fitness and cost are handed in.
"""

from .algorithm import SearchAlgorithm
from .errors import LedgerError, LedgerMismatch, LimitError, SearchError
from .evaluator import Evaluate, Evaluator
from .evolution import EvolutionarySearch
from .executor import Executor, Fitness, InProcessExecutor, Measurement, measure
from .given import GivenArchitectures
from .ledger import Ledger
from .ledger_format import make_header, read_ledger
from .limits import CostLimit, CostLimits
from .operators import crossover, mutate
from .pareto import ParetoSearch
from .predictor import PredictorSearch
from .progress import Progress
from .random_search import RandomSearch
from .ray_executor import RayExecutor
from .record import Evaluation, rank
from .results import ParetoResult, SearchResult, non_dominated, write_best

__all__ = [
    "CostLimit",
    "CostLimits",
    "Evaluate",
    "Evaluation",
    "Evaluator",
    "EvolutionarySearch",
    "Executor",
    "Fitness",
    "GivenArchitectures",
    "InProcessExecutor",
    "Ledger",
    "LedgerError",
    "LedgerMismatch",
    "LimitError",
    "Measurement",
    "ParetoResult",
    "ParetoSearch",
    "PredictorSearch",
    "Progress",
    "RandomSearch",
    "RayExecutor",
    "SearchAlgorithm",
    "SearchError",
    "SearchResult",
    "crossover",
    "non_dominated",
    "make_header",
    "measure",
    "mutate",
    "rank",
    "read_ledger",
    "write_best",
]
