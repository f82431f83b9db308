"""The authors' weights in our networks, against a second implementation of theirs.

`released_nets` has their names and their computation; it shares no code with the project.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import released_nets as theirs
import torch
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from omegaconf import OmegaConf
from released_nets import OPERATIONS, PUBLISHED, Weights

from detnas_d2.engine import DetNASCheckpointer, load_config
from detnas_d2.engine.config import describe_objects
from detnas_d2.modeling import (
    Classifier,
    Norm,
    StandAloneNetwork,
    Supernet,
    WeightsError,
    load_weights,
)
from detnas_d2.space import SPACES, SearchSpace, ShuffleChoice, Stage, XceptionChoice
from projects.DetNAS.paper import convert_weights
from projects.DetNAS.paper.halves import HalvesShuffleBlock, halves_space
from projects.DetNAS.paper.released import convert_released, read_released

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, (16, 24, 32, 40), (2, 2, 3, 1), 12)
CHOICES = (ShuffleChoice(3), ShuffleChoice(5), ShuffleChoice(7), XceptionChoice())
SPACE = SearchSpace("tiny", 8, (Stage(16, 2), Stage(24, 2), Stage(32, 3), Stage(40, 1)), CHOICES)
PATH = (0, 1, 2, 3, 0, 1, 2, 3)
CLASSES = 5
KINDS = [(kind, supernet) for kind in ("classifier", "fpn", "retinanet") for supernet in (0, 1)]


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def x():
    return torch.rand(2, 3, 64, 96) * 2 - 1


POOLED = torch.rand(6, 8, 7, 7, dtype=torch.float64)


def close(ours, wanted):
    assert ours.shape == wanted.shape
    scale = wanted.abs().max()
    assert scale > 1e-3  # an output that says something
    torch.testing.assert_close(ours / scale, wanted / scale, rtol=0, atol=1e-10)


def converted(state, model):
    """The model with converted weights, loaded as training does it."""
    checkpoint = convert_released(read_released(state), model)
    assert "the whole model" in load_weights(model, checkpoint)
    return model.eval()


def run(net, kind, x, path=PATH, supernet=False):
    """All that their network computes."""
    if kind == "classifier":
        return (theirs.classifier(net, x, SHAPE, path, supernet, CLASSES),)
    body, fpn = ("backbone.", "fpn.") if supernet else ("backbone.body.", "backbone.fpn.")
    features = theirs.body(net, x, SHAPE, path, body, supernet)
    if kind == "retinanet":
        features = theirs.fpn(net, [None, *features[1:]], 8, norm=False, p6p7=True, prefix=fpn)
        return features, *theirs.retinanet_head(net, features, CLASSES)
    features = theirs.fpn(net, features, 8, norm=True, p6p7=False, prefix=fpn)
    return features, *theirs.rpn(net, features), *theirs.box_head(net, POOLED, 8, 16, CLASSES)


def weights(kind, x, supernet=False, path=PATH):
    net = Weights()
    for each in [[choice] * 8 for choice in range(4)] if supernet else [path]:
        run(net, kind, x, each, supernet)
    return net


def config(kind, supernet, space=None, path=PATH):
    """The model of configs/common/models, narrow, with the released heads' form."""
    model = LazyConfig.load(str(ROOT / f"configs/common/models/{kind}.py")).model
    above = model if kind == "classifier" else model.backbone
    key = "backbone" if kind == "classifier" else "bottom_up"
    norm, features = L(Norm)(name="BN"), above[key].out_features
    space = space or (halves_space(SPACE) if supernet else SPACE)
    above[key] = L(Supernet)(space=space, norm=norm, out_features=features)
    if not supernet:
        above[key]._target_, above[key].architecture = StandAloneNetwork, list(path)
    if kind == "classifier":
        model.last_channels, model.num_classes, model.norm = 12, CLASSES, norm
        return model
    model.backbone.out_channels = 8
    if kind == "fpn":
        model.backbone.norm = norm
        model.roi_heads.box_head.conv_dims = [8] * 4
        model.roi_heads.box_head.fc_dims = [16]
        model.roi_heads.num_classes = CLASSES
    else:
        model.backbone.top_block.in_feature = "p5"
        model.head.conv_dims = [8] * 4
        model.num_classes = CLASSES
    return model


def ours(kind, supernet, **kwargs):
    return instantiate(config(kind, supernet, **kwargs))


def check(model, kind, x, wanted):
    if kind == "classifier":
        features = model.last_conv(model.backbone(x)["res5"])
        return close(model.fc(features.mean((2, 3))), *wanted)
    features = list(model.backbone(x).values())
    for mine, levels in zip(features, wanted[0], strict=True):
        close(mine, levels)
    if kind == "fpn":
        objectness, deltas, scores, boxes = wanted[1:]
        for mine, levels in zip(
            model.proposal_generator.rpn_head(features), (objectness, deltas), strict=True
        ):
            for a, b in zip(mine, levels, strict=True):
                close(a, b)
        our_scores, our_boxes = model.roi_heads.box_predictor(model.roi_heads.box_head(POOLED))
        close(our_scores, torch.cat((scores[:, 1:], scores[:, :1]), 1))  # background comes last
        close(our_boxes, boxes[:, 4:])
        return None
    our_scores, our_deltas = model.head(features)
    weights = torch.tensor((10.0, 10, 5, 5)).view(1, 4, 1, 1)
    for level, (scores, deltas) in enumerate(zip(*wanted[1:], strict=True)):
        for ratio in range(3):
            for size in range(3):
                a, b = 3 * size + ratio, 3 * ratio + size  # our and their number of the anchor
                for k in range(CLASSES):
                    mine = our_scores[level][:, a * CLASSES + k]
                    close(mine, scores[:, b * CLASSES + k])
                mine = our_deltas[level][:, 4 * a : 4 * a + 4]
                close(mine, deltas[:, 4 * b : 4 * b + 4] / weights)
    return None


@pytest.fixture
def command(tmp_path):
    """Runs projects/DetNAS/paper/convert_weights.py; returns the file that it wrote."""

    def run(state, model, *overrides, **kwargs):
        path = tmp_path / "config.yaml"
        cfg = OmegaConf.create({"model": model}, flags={"allow_objects": True})
        describe_objects(cfg)
        LazyConfig.save(cfg, str(path))
        source, out = tmp_path / "in.pth", tmp_path / "out" / "model.pth"
        torch.save(state, source, **kwargs)
        convert_weights.main([str(source), str(out), "--config-file", str(path), *overrides])
        return str(out)

    return run


@pytest.mark.parametrize(("kind", "supernet"), KINDS)
def test_the_networks_compute_the_same(command, x, tmp_path, capsys, kind, supernet):
    """Converted by a config of a supernet, in the form that their training writes; what is printed
    of another config loads the result. Of a supernet, every choice at every block."""
    model = config(kind, True, space=SPACE)
    if kind == "classifier":
        model.last_channels = 20
    elif kind == "retinanet":
        model.backbone.top_block.in_feature = "res5"
    net = weights(kind, x, supernet)
    file = {"model": {f"module.{k}": v for k, v in net.state.items()}, "iteration": 90000}
    out = command(file, model, _use_new_zipfile_serialization=bool(supernet))
    printed = capsys.readouterr().out
    assert f"in.pth: a {'supernet' if supernet else 'single network'}'s {kind}," in printed
    assert ("space = L(halves_space)(space='tiny')" in printed) == bool(supernet)
    assert ("L(StandAloneNetwork)(architecture='0,1,2,3,0,1,2,3', ...)" in printed) != supernet
    assert ("model.backbone.top_block.in_feature=p5" in printed) == (kind == "retinanet")
    assert ("model.last_channels=12" in printed) == (kind == "classifier")
    model, size = ours(kind, supernet).eval(), len(net.state)
    DetNASCheckpointer(model, str(tmp_path)).load(out)
    for shift in range(4 if supernet else 1):
        path = [(choice + shift) % 4 for choice in PATH]
        if supernet:
            next(m for m in model.modules() if isinstance(m, Supernet)).set_path(path)
        check(model, kind, x, run(net, kind, x, path, supernet))
    assert len(net.state) == size  # the paths made no further weights


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks(name):
    """All names and shapes, and the parameters that were published with them."""
    size, (architecture, millions) = name.rsplit("_", 1)[1], PUBLISHED[name]
    path = [int(choice) for choice in architecture.split(",")]
    net, x = Weights(), torch.rand(1, 3, 64, 64) * 2 - 1
    wanted = theirs.classifier(net, x, theirs.SHAPES[size], path)
    space, channels = SPACES[size.lower()], theirs.SHAPES[size][3]
    assert str(read_released(net.state).architecture(space)) == architecture
    model = Classifier(StandAloneNetwork(space, architecture), 1000, last_channels=channels)
    check(converted({"state_dict": net.state}, model), "classifier", x, [wanted])
    params = net.parameters()
    if size == "3.8G":
        # 29.5M is what their code gives with a last convolution to 1024 channels; it says 1728
        params -= (1728 - 1024) * (1728 + 1 + 2 + 1000)
    assert abs(params / 1e6 - millions) <= 0.051


def test_the_two_shuffles_are_not_mixed(x):
    block = HalvesShuffleBlock(CHOICES[0], 16, 16, 1, Norm("BN")).eval()
    block.main = torch.nn.Identity()
    order = block(torch.arange(16.0).view(1, 16, 1, 1)).flatten().int().tolist()
    assert order == [i for pair in zip(range(8), range(8, 16), strict=True) for i in pair]
    halves, released = halves_space(SPACE), read_released(weights("classifier", x, True).state)
    assert halves.name == "tiny-halves" and halves.fingerprint != SPACE.fingerprint
    with pytest.raises(WeightsError, match="by halves.*take halves_space of it"):
        convert_released(released, ours("classifier", True, space=SPACE))
    with pytest.raises(WeightsError, match="even/odd form"):
        fixed = read_released(weights("classifier", x).state)
        convert_released(fixed, ours("classifier", False, space=halves))
    with pytest.raises(WeightsError, match="fingerprint"):
        checkpoint = convert_released(released, ours("classifier", True))
        load_weights(ours("classifier", True, space=SPACE), checkpoint)


# what is refused


@pytest.mark.parametrize(("kind", "supernet"), KINDS)
def test_every_name_is_used_and_every_weight_filled(x, kind, supernet):
    net, model = weights(kind, x, supernet), ours(kind, supernet)
    blocks = [key for key in net.state if "features." in key]
    for key in [*blocks[:: len(blocks) // 6], *(net.state.keys() - set(blocks))]:
        left = {k: v for k, v in net.state.items() if k != key}
        if key.endswith("num_batches_tracked"):
            convert_released(read_released(left), model)
            continue
        with pytest.raises(WeightsError):
            convert_released(read_released(left), model)
    twice = next(k for k in blocks if OPERATIONS[0] in k).replace(*OPERATIONS[:2])
    for more in ("rpn.more", "features.0.conv.0.more.weight", "last_conv.extra.bias", twice):
        message = f"of no use in the model: {more}|not in the model|two weights|architecture 1,1,"
        with pytest.raises(WeightsError, match=message):
            convert_released(read_released({**net.state, more: torch.zeros(1)}), model)


def test_other_networks_are_refused(x):
    released = {key: read_released(weights(*key[:1], x, key[1]).state) for key in KINDS}
    single, supernet = released["classifier", 0], released["fpn", 1]
    wide = SearchSpace("wide", 8, (*SPACE.stages[:3], Stage(44, 1)), CHOICES)
    for weights_, model, message in (
        (single, ours("classifier", 0, path=(1, *PATH[1:])), "0,1,2,3,0,1,2,3, the model has 1,1"),
        (single, ours("classifier", 0, space=wide), "of another shape.*res5"),
        (single, StandAloneNetwork(SPACE, PATH), "a single network's classifier, the model is a S"),
        (
            supernet,
            ours("classifier", 1),
            "supernet's fpn, the model is a Classifier; expected a G",
        ),
    ):
        with pytest.raises(WeightsError, match=message):
            convert_released(weights_, model)
    anchors = "rpn.anchor_generator.cell_anchors.2"
    state = released["retinanet", 0].state
    larger = {**state, anchors: state[anchors] * 1.26}
    with pytest.raises(WeightsError, match="level 2 of the weights' anchors .*sides"):
        convert_released(read_released(larger), ours("retinanet", 0))


def test_the_command_keeps_an_architecture_that_the_config_states(command, x):
    state = {"state_dict": weights("classifier", x).state}
    model = config("classifier", False, path=(3, *PATH[1:]))
    with pytest.raises(SystemExit, match="the model has 3,1,2,3,0,1,2,3"):
        command(state, model)
    assert command(state, model, "model.backbone.architecture=0,1,2,3,0,1,2,3")
    with pytest.raises(SystemExit, match="is a single network of .*; take the config of the super"):
        command(weights("classifier", x, True).state, model)


def test_a_search_of_their_coco_supernet(tmp_path, capsys):
    """All names and shapes at full size, and the config with which a search loads the result."""
    net, shape = Weights(), theirs.SHAPES["300M"]
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    for choice in range(4):
        features = theirs.body(net, x, shape, [choice] * 20, "backbone.", True)
        theirs.rpn(net, theirs.fpn(net, features, 256, norm=True, p6p7=False, prefix="fpn."))
    theirs.box_head(net, torch.rand(2, 256, 7, 7), 256, 1024, 80)
    source, out = tmp_path / "model_final.pth", tmp_path / "out.pth"
    single = {k: v.float() if v.is_floating_point() else v for k, v in net.state.items()}
    torch.save({"model": {f"module.{k}": v for k, v in single.items()}}, source)
    path = str(ROOT / "projects/DetNAS/configs/released_search_fpn_300m.py")
    convert_weights.main([str(source), str(out), "--config-file", path])
    assert "needs" not in capsys.readouterr().out
    model = instantiate(load_config(path).model)
    assert "whole model" in load_weights(model, torch.load(out, weights_only=True))
