"""Settings of the search (Algorithm 2)."""

from detectron2.config import LazyCall as L

from detnas_d2.driver import DefaultExecutor
from detnas_d2.evaluation import SupernetFitness
from detnas_d2.search import EvolutionarySearch

search = dict(
    seed=0,
    # What a candidate may cost, in multiply-adds of the backbone's convolutions, parameters, and
    # milliseconds; all that are not None have to be met.
    flops_limit=300_000_000,
    params_limit=None,
    latency_limit=None,
    latency_table=None,  # a file; python -m detnas_d2.evaluation.latency measures it
    input_size=(224, 224),  # (height, width) of the image that costs are counted for
    # How a candidate is scored. One of your own: docs/extending.md
    fitness=L(SupernetFitness)(
        metric="bbox/AP",  # among the metrics of dataloader.evaluator
        calibration_batches=250,  # of dataloader.calibration: 500 images for the norms' statistics
        batch_size=4,  # validation images a forward, all of one size: changes rounding only
        amp=False,  # mixed precision: float16 on a GPU, bfloat16 on a CPU; changes fitness a little
        channels_last=None,  # memory layout; None: on a CPU, and on a GPU with amp
        cache_memory=8,  # GiB for decoded images; more of them go to a file in train.output_dir
    ),
    # Where candidates are evaluated: in this process, or in so many worker processes (Ray's), here
    # or on the cluster at an address ("auto": the one that this machine belongs to), each with a
    # GPU or with so many CPU threads. docs/cluster.md
    executor=L(DefaultExecutor)(
        workers=0,
        address=None,
        threads=None,  # None: PyTorch's own number in this process, 1 in a worker
        retries=1,  # how often a candidate that fails is tried again
        time_limit=None,  # seconds for a candidate; needs workers
    ),
    # others are in search_algorithms.py
    algorithm=L(EvolutionarySearch)(
        population=50, generations=20, parents=10, mutation_probability=0.1
    ),
    # Architectures that the search begins with, [2,1,2,0,...] or a best_architecture.json each; and
    # another search's ledger.jsonl, whose best fill the first population. All are evaluated anew.
    initial=None,
    initial_ledger=None,
    retrain=[],  # configs that train the best network, for the commands printed at the end
)
