"""How well the fitness of a search ranks networks, against the same networks trained alone."""

from .alone import alone_steps, chain_of, propose
from .comparison import RANKING_FILE, RankingError, compare, in_words, table
from .figures import LEAST, kendall, rank_figures
from .truth import read_truth

__all__ = [
    "LEAST",
    "RANKING_FILE",
    "RankingError",
    "alone_steps",
    "chain_of",
    "compare",
    "in_words",
    "kendall",
    "propose",
    "rank_figures",
    "read_truth",
    "table",
]
