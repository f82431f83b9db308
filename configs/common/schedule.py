"""Learning-rate schedules; each stretches over train.max_iter."""

from detectron2.config import LazyCall as L
from detectron2.solver import WarmupParamScheduler
from fvcore.common.param_scheduler import LinearParamScheduler, MultiStepParamScheduler

# ImageNet: linear to zero
linear = L(LinearParamScheduler)(start_value=1.0, end_value=0.0)


def _steps(iterations):
    """A tenth after 6/9 and again after 8/9, with a warm-up over the first 500 iterations."""
    return L(WarmupParamScheduler)(
        scheduler=L(MultiStepParamScheduler)(values=[1.0, 0.1, 0.01], milestones=[6, 8, 9]),
        warmup_factor=0.001,
        warmup_length=500 / iterations,
    )


# the paper's, and doubled for training from scratch
coco_1x = _steps(90_000)  # steps at 60k and 80k
coco_2x = _steps(180_000)
voc_1x = _steps(22_500)  # steps at 15k and 20k
voc_2x = _steps(45_000)

# short trainings from scratch: warm-up over a twentieth, then linear to zero
short = L(WarmupParamScheduler)(
    scheduler=L(LinearParamScheduler)(start_value=1.0, end_value=0.0),
    warmup_factor=0.01,
    warmup_length=0.05,
)
