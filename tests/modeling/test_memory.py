"""Peak activation memory as counted, and as allocated by networks that run."""

import pytest
import torch
from live_memory import peak_of_allocator, peak_of_tensors

from detnas_d2.modeling import StandAloneNetwork, Supernet
from detnas_d2.space import (
    Architecture,
    SearchSpace,
    ShuffleChoice,
    Stage,
    UniformPathSampler,
    XceptionChoice,
    get_space,
    halves_space,
    memory_cost,
)

CHOICES = (ShuffleChoice(3), ShuffleChoice(7), XceptionChoice())
# The worst moment is late in it, where earlier stages' outputs stay.
LATE = SearchSpace("late", 4, (Stage(8, 1), Stage(40, 2), Stage(200, 2), Stage(1000, 1)), CHOICES)


def networks(space, count=4):
    drawn = [UniformPathSampler(space, 0)(i) for i in range(count)]
    return drawn + [Architecture(space, (c,) * space.num_blocks) for c in range(space.num_choices)]


@pytest.mark.parametrize("size", [(64, 64), (75, 98)])
@pytest.mark.parametrize(
    "space", [get_space("demo"), LATE, halves_space(LATE)], ids=lambda s: s.name
)
def test_equal_to_the_tensors_that_are_alive(space, size):
    image = torch.randn(1, 3, *size)
    peaks = set()
    for kept in (space.stage_names, space.stage_names[1:], space.stage_names[-1:]):
        cost = memory_cost(space, size, kept)
        for architecture in networks(space):
            network = StandAloneNetwork(space, architecture, out_features=kept).eval()
            peaks.add(cost(architecture))
            assert peak_of_tensors(network, image) == cost(architecture)
    assert len(peaks) > (3 if space is LATE else 1)


def test_supernet_paths_and_channels_last():
    space = get_space("demo")
    cost = memory_cost(space, (64, 64))
    supernet = Supernet(space).eval().to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, 64, 64).to(memory_format=torch.channels_last)
    for architecture in networks(space, 2):
        with supernet.use_path(architecture):
            assert peak_of_tensors(supernet, image) == cost(architecture)


def test_close_to_what_the_allocator_gives():
    """PyTorch's own count has the operators' working space too: on a CPU a few per cent."""
    space = get_space("300m")
    cost = memory_cost(space)
    image = torch.randn(1, 3, 224, 224)
    for choice in range(4):
        architecture = Architecture(space, (choice,) * 20)
        allocated = peak_of_allocator(StandAloneNetwork(space, architecture).eval(), image)
        assert 1 <= allocated / cost(architecture) < 1.2
