"""Searches other than the paper's Algorithm 2, with as many candidates: search.algorithm = ..."""

from detectron2.config import LazyCall as L

from detnas_d2.search import EvolutionarySearch, ParetoSearch, PredictorSearch, RandomSearch

# the authors' code: 20 mutations, 20 crossovers and 10 random ones, parents out of all so far
official = L(EvolutionarySearch)(
    population=50,
    generations=20,
    parents=10,
    parents_from="all",
    mutation_probability=0.1,
    mutations=20,
    crossovers=20,
)

# ten generations bred on a model of all evaluations so far for each one that is evaluated
predictor = L(PredictorSearch)(
    population=50, generations=20, parents=10, mutation_probability=0.1, factor=10, random_share=0.1
)

# the baseline
random = L(RandomSearch)(count=1000)

# NSGA-II on the fitness and any of the costs flops, params and latency (ms, by
# search.latency_table)
pareto = L(ParetoSearch)(costs=["flops"], population=50, generations=20, mutation_probability=0.1)
