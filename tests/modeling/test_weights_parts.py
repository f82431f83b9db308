"""Parts of a checkpoint: one network's weights for a supernet's path, a backbone without heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detnas_d2.modeling import (
    Classifier,
    StandAloneNetwork,
    Supernet,
    WeightsError,
    describe,
    load_weights,
)
from detnas_d2.space import SearchSpace

A = (0, 1, 2, 3, 0, 1, 2, 3)
B = (3, 2, 1, 0, 3, 2, 1, 0)
SHAPE = (8, (16, 24, 32, 40), (2, 2, 3, 1), 12)  # of conftest's space, as the authors' code has it


class Detector(nn.Module):
    """What matters of one here: a backbone, and a head for so many classes."""

    def __init__(self, bottom_up: nn.Module, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.bottom_up = bottom_up
        self.head = nn.Linear(8, classes)


def checkpoint(model):
    return {"model": model.state_dict(), "detnas": describe(model)}


def state(model):
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def unchanged(model, before):
    return all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def same_features(supernet, network, images):
    """On that path, in evaluation and so with the running statistics too, bit for bit."""
    supernet.eval(), network.eval()
    with torch.no_grad(), supernet.use_path(network.architecture):
        ours, wanted = supernet(images), network(images)
    return all(torch.equal(ours[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("path", [A, B])
def test_a_networks_weights_fill_its_path(space, randomize, images, path):
    network = randomize(StandAloneNetwork(space, path))
    model = Detector(randomize(Supernet(space)), 3)
    before = state(model)
    source = checkpoint(Classifier(network, 5, last_channels=8))
    report = load_weights(model, source, path_only=True)
    text = ",".join(map(str, path))
    assert f"network of architecture {text}" in report and "keep their initialisation" in report

    supernet = model.backbone.bottom_up
    assert same_features(supernet, network, images)
    # every other choice of every block, and the head, are what they were
    blocks = zip(space.blocks, path, strict=True)
    filled = {f"{space.stage_names[b.stage]}.{b.index_in_stage}.{c}." for b, c in blocks}
    for key, tensor in model.state_dict().items():
        short = key.removeprefix("backbone.bottom_up.")
        if not short.startswith(("stem.", *filled)):
            assert torch.equal(tensor, before[key]), key
    assert not unchanged(model, before)


@pytest.mark.parametrize("make", [Supernet, lambda s: StandAloneNetwork(s, A)])
def test_the_backbone_of_a_detector_of_other_classes(space, randomize, make):
    source = randomize(Detector(make(space), classes=80))
    model = Detector(make(space), classes=3)
    before = state(model)
    with pytest.raises(WeightsError, match="train.init_backbone_only=True"):
        load_weights(model, checkpoint(source))
    assert unchanged(model, before)
    assert "backbone, not the heads" in load_weights(model, checkpoint(source), backbone_only=True)
    assert torch.equal(model.head.weight, before["head.weight"])
    loaded, given = model.backbone.bottom_up.state_dict(), source.backbone.bottom_up.state_dict()
    assert all(torch.equal(loaded[key], given[key]) for key in given)


def test_backbone_only_leaves_heads_that_would_fit(space):
    source, model = (Detector(StandAloneNetwork(space, A), 3) for _ in range(2))
    before = state(model)
    load_weights(model, checkpoint(source), backbone_only=True)
    assert torch.equal(model.head.weight, before["head.weight"])


def test_what_fills_no_path_is_refused(space):
    other = SearchSpace("other", 12, space.stages, space.choices)
    network, supernet = StandAloneNetwork(space, A), Supernet(space)
    plain = {"model": network.state_dict()}
    cut = checkpoint(network)
    cut["model"] = {k: v for k, v in cut["model"].items() if not k.startswith("stem.conv")}
    cut["model"]["stem.conv.weight"] = torch.zeros(8, 3, 5, 5)
    cases = [
        (StandAloneNetwork(space, A), checkpoint(network), "the model has none"),
        (supernet, checkpoint(supernet), "states no architecture"),
        (supernet, plain, "states no architecture"),
        (supernet, checkpoint(StandAloneNetwork(other, A)), "other spaces"),
        (supernet, cut, "stem.conv.weight.*of another shape|of another shape.*stem.conv.weight"),
    ]
    for model, source, message in cases:
        before = state(model)
        with pytest.raises(WeightsError, match=message):
            load_weights(model, source, path_only=True)
        assert unchanged(model, before)
    with pytest.raises(WeightsError, match="train.init_path_only=True"):
        load_weights(supernet, checkpoint(network))
