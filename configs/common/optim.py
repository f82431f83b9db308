"""Optimisers of the paper's steps."""

import torch
from detectron2.config import LazyCall as L
from detectron2.solver.build import get_default_optimizer_params

# detection: weight decay on every weight
detection = L(torch.optim.SGD)(
    params=L(get_default_optimizer_params)(),
    lr=0.02,
    momentum=0.9,
    weight_decay=1e-4,
)

retinanet = {**detection, "lr": 0.01}

# ImageNet: none on norm and bias
classification = L(torch.optim.SGD)(
    params=L(get_default_optimizer_params)(weight_decay_norm=0.0, weight_decay_bias=0.0),
    lr=0.5,
    momentum=0.9,
    weight_decay=4e-5,
)

# short trainings from scratch on a CPU, where SGD would need more iterations than there is time for
adamw = L(torch.optim.AdamW)(
    params=L(get_default_optimizer_params)(weight_decay_norm=0.0),
    lr=0.002,
    weight_decay=0.05,
)
