"""Initialising one network from another's checkpoint: every case, and all or nothing."""

import copy
import io

import pytest
import torch
from detectron2.modeling import FPN
from detectron2.modeling.backbone import BasicStem, ResNet
from detectron2.modeling.backbone.resnet import BottleneckBlock
from torch import nn

from detnas_d2.modeling import (
    Classifier,
    Norm,
    StandAloneNetwork,
    Supernet,
    WeightsError,
    describe,
    find_backbone,
    load_weights,
    slice_supernet,
)
from detnas_d2.space import Architecture, SearchSpace

A = (0, 1, 2, 3, 0, 1, 2, 3)
B = (3, 2, 1, 0, 3, 2, 1, 0)


class Detector(nn.Module):
    """The part of a detector that matters here: an FPN at `backbone`, and a head."""

    def __init__(self, bottom_up, classes=4, fpn_norm=""):
        super().__init__()
        self.backbone = FPN(bottom_up, ["res4", "res5"], 8, norm=fpn_norm)
        self.head = nn.Linear(8, classes)


supernet = Supernet


def fixed(space, architecture=A, **kwargs):
    return StandAloneNetwork(space, architecture, **kwargs)


def classifier(backbone, classes=5):
    return Classifier(backbone, classes, last_channels=8)


def checkpoint(model, describing=True):
    """As it comes back from a file that torch.load reads with weights_only."""
    file = io.BytesIO()
    content = {"model": model.state_dict(), "iteration": 3}
    torch.save({**content, "detnas": describe(model)} if describing else content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def snapshot(model):
    return copy.deepcopy(model.state_dict())


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def body(state, prefix):
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def refused(model, source, *messages, **options):
    """The error, after which the model must be as before."""
    before = snapshot(model)
    with pytest.raises(WeightsError) as e:
        load_weights(model, source, **options)
    assert equal(snapshot(model), before)
    for message in messages:
        assert message in str(e.value)


@pytest.fixture(params=[True, False], ids=["described", "plain"])
def describing(request):
    return request.param


def test_find_backbone_and_describe(space):
    network = fixed(space)
    assert find_backbone(network) == ("", network)
    assert find_backbone(classifier(network)) == ("backbone.", network)
    assert find_backbone(Detector(network)) == ("backbone.bottom_up.", network)
    assert find_backbone(nn.Linear(1, 1)) is None
    said = {"space": "tiny", "fingerprint": space.fingerprint}
    assert describe(Detector(network)) == {**said, "architecture": list(A)}
    assert describe(classifier(supernet(space))) == {**said, "architecture": None}
    assert describe(nn.Linear(1, 1)) == {}
    with pytest.raises(WeightsError, match="2 DetNAS backbones.*0., 1."):
        find_backbone(nn.Sequential(fixed(space), supernet(space)))
    with pytest.raises(WeightsError, match="no DetNAS backbone"):
        load_weights(nn.Linear(1, 1), checkpoint(network))
    load_weights(network, checkpoint(Detector(fixed(space))))  # a bare one from any model
    refused(classifier(network), checkpoint(Detector(network)), "detection follows classification")


@pytest.mark.parametrize("make", [supernet, fixed])
@pytest.mark.parametrize("around", [lambda b: b, Detector])
def test_like_to_like(space, randomize, describing, make, around):
    source, model = randomize(around(make(space))), around(make(space))
    report = load_weights(model, checkpoint(source, describing))
    assert equal(source.state_dict(), model.state_dict())
    assert "whole model" in report and "network of the same shape" in report


@pytest.mark.parametrize("around", [lambda b: b, classifier, Detector])
def test_supernet_to_fixed_is_sliced(space, randomize, describing, around):
    source, model = randomize(around(supernet(space))), around(fixed(space))
    report = load_weights(model, checkpoint(source, describing))
    network = find_backbone(model)[1]
    body = find_backbone(source)[1].state_dict()
    assert equal(slice_supernet(body, Architecture(space, A)), network.state_dict())
    assert "supernet" in report
    images = torch.randn(2, 3, 64, 64)
    ours = find_backbone(source)[1]
    ours.set_path(A)
    assert equal(ours(images), network(images))


@pytest.mark.parametrize("key", ["res2.0.main.0.conv.weight", "res2.2.0.main.0.x", "res2.0"])
def test_slicing_what_is_no_supernet(space, key):
    with pytest.raises(WeightsError, match=f"'{key}' is no key of a supernet of space 'tiny'"):
        slice_supernet({key: torch.zeros(1)}, Architecture(space, A))


def test_another_network_of_the_space_is_refused(space):
    ours, theirs = (f"architecture {','.join(map(str, x))} of space 'tiny'" for x in (B, A))
    source = checkpoint(classifier(fixed(space)))
    refused(Detector(supernet(space)), source, theirs, "the supernet of space 'tiny'")
    refused(Detector(fixed(space, B)), source, theirs, ours)
    plain = checkpoint(fixed(space), False)
    refused(supernet(space), plain, "not those of the supernet of space")
    refused(fixed(space, B), plain, f"not those of {ours}")


@pytest.mark.parametrize("make", [supernet, fixed])
def test_another_space_is_refused(space, make):
    other = SearchSpace("other", 8, space.stages, space.choices)
    refused(make(other), checkpoint(make(space)), "space 'tiny'", "space 'other'")
    # The same name and shapes, but choices in another order.
    twisted = SearchSpace("tiny", 8, space.stages, space.choices[::-1])
    refused(make(twisted), checkpoint(make(space)), "differ in their description: stages")


@pytest.mark.parametrize("make", [supernet, fixed])
def test_heads_of_another_shape_are_refused(space, describing, make):
    source = checkpoint(Detector(make(space), classes=4), describing)
    refused(
        Detector(make(space), classes=3),
        source,
        "2 of another shape",
        "head.weight: (4, 8) in the checkpoint, (3, 8) in the model",
        "head.bias: (4,) in the checkpoint, (3,) in the model",
    )


@pytest.mark.parametrize("name", ["FrozenBN", "SyncBN", "naiveSyncBN"])
def test_norm_types_share_weights(space, randomize, name, describing):
    """Also the way back; FrozenBN alone counts no batches."""
    source, again = randomize(fixed(space)), fixed(space)
    source.stem.norm.num_batches_tracked.fill_(7)
    model = Detector(fixed(space, norm=Norm(name)), fpn_norm=name)
    load_weights(model, checkpoint(classifier(source), describing))
    load_weights(again, checkpoint(model.backbone.bottom_up, describing))
    counts = again.stem.norm.num_batches_tracked
    assert counts.item() == (0 if name == "FrozenBN" else 7)
    ours, theirs = (
        {k: v for k, v in m.state_dict().items() if "num_batches" not in k} for m in (again, source)
    )
    assert equal(ours, theirs)


def test_what_is_no_checkpoint_of_ours(space):
    model = fixed(space)
    others = {"model": {"stem.conv1.weight": torch.zeros(1)}}
    refused(model, others, "0 DetNAS backbones", "stem.conv1")
    refused(model, {"model": 3}, "expected a state dict")
    refused(model, "model_final.pth", "not a str: torch.load(", "load_initial(path)")
    refused(model, {"model": {"stem.conv.weight": [1.0]}}, "no tensor under stem.conv.weight")
    refused(model, {"iteration": 3}, "no tensor under iteration")
    source = checkpoint(model)
    source["detnas"] = {"space": "tiny"}
    refused(model, source, '"detnas" is damaged')
    del source["detnas"]
    source["model"]["res2.9.main.0.conv.weight"] = source["model"].pop("res5.0.main.0.conv.weight")
    lines = "1 missing in the checkpoint: res5.0.main.0", "1 not in the model: res2.9.main.0.conv"
    refused(model, source, *lines)
    two = {**fixed(space).state_dict(prefix="a."), **fixed(space).state_dict(prefix="b.")}
    refused(model, two, "2 DetNAS backbones")


# backbones of others


def others(classes=5, width=8):
    """A classifier and a detector on a ResNet, whose classes are none of ours."""
    stages = []
    for before, after, stride in ((width, 8, 1), (8, 8, 2), (8, 8, 2), (8, 16, 2)):
        channels = {"in_channels": before, "out_channels": after, "bottleneck_channels": 4}
        stage = ResNet.make_stage(BottleneckBlock, 1, **channels, stride_per_block=[stride])
        stages.append(stage)
    resnet = ResNet(BasicStem(out_channels=width), stages, out_features=["res4", "res5"])
    return Classifier(copy.deepcopy(resnet), classes, last_channels=8), Detector(resnet)


@pytest.mark.parametrize("make", [supernet, fixed, None])
def test_a_classifier_gives_its_detector_the_backbone(space, randomize, describing, make):
    source, (like, model) = others()[0], others()
    if make is not None:
        source, like, model = (around(make(space)) for around in (classifier, classifier, Detector))
    before = snapshot(model)
    report = load_weights(model, checkpoint(randomize(source), describing))
    after, prefix = model.state_dict(), "backbone.bottom_up."
    assert equal(body(after, prefix), body(source.state_dict(), "backbone."))
    rest = [key for key in after if not key.startswith(prefix)]
    assert rest and all(torch.equal(after[key], before[key]) for key in rest)
    assert "backbone, not the heads" in report
    assert "whole model" in load_weights(like, checkpoint(source, describing))
    assert equal(like.state_dict(), source.state_dict())


def test_another_backbone_is_refused(space):
    source = checkpoint(others()[0])
    refused(others(classes=6)[0], source, "the heads do not fit", "fc.weight: (5, 8)")
    classifier_of_resnet, detector_of_resnet = others()
    refused(others(width=16)[1], checkpoint(classifier_of_resnet), "another backbone", "shape")
    ours = checkpoint(classifier(fixed(space)))
    refused(detector_of_resnet, ours, "another backbone", "missing", "stem.conv1.weight")
    refused(Detector(fixed(space)), checkpoint(classifier_of_resnet), "0 DetNAS backbones")
    refused(classifier_of_resnet, checkpoint(detector_of_resnet), "detector's", "classifier")


# parts of a checkpoint


@pytest.mark.parametrize("path", [A, B])
def test_a_networks_weights_fill_its_path(space, randomize, images, path):
    network = randomize(fixed(space, path))
    model = Detector(randomize(supernet(space)))
    before, ours = snapshot(model), model.backbone.bottom_up
    report = load_weights(model, checkpoint(classifier(network)), path_only=True)
    text = ",".join(map(str, path))
    assert f"network of architecture {text}" in report and "keep their initialisation" in report
    with torch.no_grad(), ours.use_path(path):  # with the running statistics too
        assert equal(ours.eval()(images), network.eval()(images))
    # every other choice of every block, and the head, are what they were
    blocks = zip(space.blocks, path, strict=True)
    filled = {f"{space.stage_names[b.stage]}.{b.index_in_stage}.{c}." for b, c in blocks}
    for key, tensor in model.state_dict().items():
        if not key.removeprefix("backbone.bottom_up.").startswith(("stem.", *filled)):
            assert torch.equal(tensor, before[key]), key


@pytest.mark.parametrize("make", [supernet, fixed])
def test_the_backbone_without_the_heads(space, randomize, make):
    source = randomize(Detector(make(space), classes=80))
    refused(Detector(make(space), classes=3), checkpoint(source), "train.init_backbone_only=True")
    for classes in (3, 80):
        model = Detector(make(space), classes)
        before = snapshot(model.head)
        report = load_weights(model, checkpoint(source), backbone_only=True)
        assert "backbone, not the heads" in report and equal(snapshot(model.head), before)
        assert equal(snapshot(model.backbone.bottom_up), snapshot(source.backbone.bottom_up))


def test_what_fills_no_path_is_refused(space):
    other = SearchSpace("other", 12, space.stages, space.choices)
    network, model = checkpoint(fixed(space)), supernet(space)
    refused(model, network, "train.init_path_only=True")
    refused(fixed(space), network, "the model has none", path_only=True)
    refused(model, checkpoint(model), "states no architecture", path_only=True)
    refused(model, checkpoint(fixed(space), False), "states no architecture", path_only=True)
    refused(model, checkpoint(fixed(other)), "other spaces", path_only=True)
    network["model"]["stem.conv.weight"] = torch.zeros(8, 3, 5, 5)
    refused(model, network, "of another shape: stem.conv.weight", path_only=True)
