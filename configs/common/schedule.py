"""Learning-rate schedules; each stretches over train.max_iter."""

from detectron2.config import LazyCall as L
from detectron2.solver import WarmupParamScheduler
from fvcore.common.param_scheduler import LinearParamScheduler, MultiStepParamScheduler

# ImageNet: linear to zero
linear = L(LinearParamScheduler)(start_value=1.0, end_value=0.0)

# COCO 1x: 60k and 80k of 90k, warm-up over the first 500
step_1x = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(values=[1.0, 0.1, 0.01], milestones=[6, 8, 9]),
    warmup_factor=0.001,
    warmup_length=500 / 90000,
)

# short trainings from scratch: warm-up over a twentieth, then linear to zero
short = L(WarmupParamScheduler)(
    scheduler=L(LinearParamScheduler)(start_value=1.0, end_value=0.0),
    warmup_factor=0.01,
    warmup_length=0.05,
)
