"""Settings of the search (DetNAS section 4.1 and Algorithm 2)."""

from detectron2.config import LazyCall as L

from detnas_d2.search import EvolutionarySearch

search = dict(
    seed=0,
    metric="bbox/AP",  # the fitness, among the metrics of dataloader.evaluator
    flops_limit=300_000_000,  # multiply-adds of the backbone's convolutions ...
    input_size=(224, 224),  # ... at this (height, width)
    calibration_batches=250,  # of dataloader.calibration: 500 images for the norms' statistics
    # the baseline is L(RandomSearch)(count=1000)
    algorithm=L(EvolutionarySearch)(
        population=50, generations=20, parents=10, mutation_probability=0.1
    ),
    retrain=[],  # configs that train the best network, for the commands printed at the end
)
