# reads output/<name>/step2_supernet/model_final.pth, writes output/<name>/step3_search/best_architecture.json
from importlib.util import find_spec as _find_spec
from os.path import dirname as _dirname

from detnas_d2.engine import plain_path as _plain_path

from ..common.search import search
from .detector import _row, _start, dataloader, datasets, model, output, space, train
from .machines import flops_limits as _flops_limits

_space = _start.space or (space if isinstance(space, str) else "of your own: no limit")
train.init_checkpoint = f"{output}/step2_supernet/model_final.pth"
train.output_dir = f"{output}/step3_search"
search.flops_limit = _flops_limits.get(_space)
search.algorithm.population = _row.population
search.algorithm.generations = _row.generations
search.algorithm.parents = _row.parents
search.executor.workers = _row.gpus if _row.gpus > 1 and _find_spec("ray") else 0  # pip install ray
search.fitness.calibration_batches = (
    _row.calibration_images // dataloader.calibration.total_batch_size
)
search.retrain = [
    _plain_path(f"{_dirname(__file__)}/step4_detection.py"),
    _plain_path(f"{_dirname(__file__)}/step4_finetune.py"),
]
