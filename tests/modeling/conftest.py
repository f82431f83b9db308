"""A small space, random weights and images for the tests of the networks."""

from __future__ import annotations

import pytest
import torch

from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice

CHOICES = (ShuffleChoice(3), ShuffleChoice(5), ShuffleChoice(7), XceptionChoice())


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def space():
    return SearchSpace("tiny", 8, (Stage(16, 2), Stage(24, 2), Stage(32, 3), Stage(40, 1)), CHOICES)


@pytest.fixture
def images():
    return torch.randn(2, 3, 65, 50)


@pytest.fixture
def randomize():
    """Give a model's norms statistics and affine weights that no two layers share."""

    def fill(model):
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif ".norm." in name and tensor.is_floating_point():
                tensor.normal_(1 if name.endswith("weight") else 0, 0.3)
        return model

    return fill
