"""Settings of the search (Algorithm 2): docs/config.md says what each key means."""

from detectron2.config import LazyCall as L

from detnas_d2.driver import DefaultExecutor
from detnas_d2.evaluation import ShortTraining, SupernetFitness
from detnas_d2.search import EvolutionarySearch
from detnas_d2.settings import Search, defaults

# limits of what a candidate may cost and all else that is no node: docs/config.md
search = dict(
    **defaults(Search),
    # How a candidate is scored. Others: below, and one of your own: docs/extending.md
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
        retries=1,  # how often a candidate, or a part of it, that fails is tried again
        time_limit=None,  # seconds for a candidate, or for each part of one; needs workers
    ),
    # others are in search_algorithms.py
    algorithm=L(EvolutionarySearch)(
        population=50, generations=20, parents=10, mutation_probability=0.1
    ),
)

# Without a supernet: search.fitness = short_training, in a config that has what a training has
# (optimizer, lr_multiplier, train). docs/search.md
short_training = L(ShortTraining)(
    metric="bbox/AP",
    share=0.25,  # of train.max_iter
    batch_size=4,  # as above
    cache_memory=8,
)
