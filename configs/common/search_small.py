"""A search of minutes on a CPU, in the demo space at 128x128 pixels."""

from .search import search

search.input_size = (128, 128)
search.flops_limit = 13_500_000  # 42% of the space
search.fitness.calibration_batches = 8
search.algorithm.population = 12
search.algorithm.generations = 4
search.algorithm.parents = 4
