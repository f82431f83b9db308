"""The authors' weights in our networks, against a second implementation of theirs.

`released_nets` has their names and their computation; it shares no code with the project.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import pytest
import released_nets as theirs
import torch
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from released_nets import OPERATIONS, PUBLISHED, Weights

from detnas_d2.engine import CheckpointError, DetNASCheckpointer, load_config
from detnas_d2.modeling import (
    Classifier,
    Norm,
    StandAloneNetwork,
    Supernet,
    WeightsError,
    convert_released,
    load_weights,
    read_released,
)
from detnas_d2.modeling.halves import HalvesShuffleBlock
from detnas_d2.space import SPACES, Architecture, SearchSpace, Stage, halves_space

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, (16, 24, 32, 40), (2, 2, 3, 1), 12)  # of the space that conftest.py defines
PATH = (0, 1, 2, 3, 0, 1, 2, 3)
CLASSES = 5
BOXES = (10.0, 10.0, 5.0, 5.0)


@pytest.fixture
def x():
    return torch.rand(2, 3, 64, 96, dtype=torch.float64) * 2 - 1


def close(ours, wanted):
    assert ours.shape == wanted.shape
    scale = wanted.abs().max()
    assert scale > 1e-3  # an output that says something
    torch.testing.assert_close(ours / scale, wanted / scale, rtol=0, atol=1e-10)


def filled(model, checkpoint):
    """The model with converted weights, loaded as training does it, in float64."""
    report = load_weights(model, checkpoint)
    assert "the whole model" in report
    return model.double().eval()


def converted(state, model):
    return filled(model, convert_released(read_released(state), model.double()))


def logits(model, x):
    x = model.backbone(x)["res5"]
    return model.fc(model.last_conv(x).mean((2, 3)))


def classifier_weights(x, path=PATH):
    net = Weights()
    return net, theirs.classifier(net, x, SHAPE, path, classes=CLASSES)


def our_classifier(space, path=PATH, channels=12, **kwargs):
    return Classifier(StandAloneNetwork(space, path, **kwargs), CLASSES, last_channels=channels)


# classifiers


@pytest.mark.parametrize("shift", range(4))  # every choice at every block
def test_a_classifier_computes_the_same(space, x, shift):
    path = [(choice + shift) % 4 for choice in PATH]
    net, wanted = classifier_weights(x, path)
    model = converted(net.state, our_classifier(space, path))
    close(logits(model, x), wanted)
    # the names alone say which architecture it is
    assert read_released(net.state).architecture(space) == Architecture.parse(path, space)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks(name):
    """All names and shapes of the six, and the parameters that were published with them."""
    size, (architecture, millions) = name.rsplit("_", 1)[1], PUBLISHED[name]
    path = [int(choice) for choice in architecture.split(",")]
    net, x = Weights(), torch.rand(1, 3, 64, 64, dtype=torch.float64) * 2 - 1
    wanted = theirs.classifier(net, x, theirs.SHAPES[size], path)
    released = read_released(net.state)
    space = SPACES[size.lower()]
    assert ",".join(map(str, released.architecture(space))) == architecture
    backbone = StandAloneNetwork(space, architecture)
    model = Classifier(backbone, 1000, last_channels=theirs.SHAPES[size][3])
    model = filled(model, convert_released(released, model.double()))
    close(logits(model, x), wanted)
    params = net.parameters()
    if size == "3.8G":
        # 29.5M is what their code gives with a last convolution to 1024 channels; it says 1728
        params -= (1728 - 1024) * (1728 + 1 + 2 + 1000)
    assert abs(params / 1e6 - millions) <= 0.051
    ours = sum(p.numel() for p in model.parameters())
    assert net.parameters() - ours == space.stem_channels + theirs.SHAPES[size][3]  # the biases


def test_in_training_too_a_bias_before_a_norm_changes_nothing(space, x):
    net, _ = classifier_weights(x)
    model = converted(net.state, our_classifier(space))
    stem = model.backbone.stem.train()
    y = torch.nn.functional.conv2d(
        x, net.state["first_conv.conv.weight"], net.state["first_conv.conv.bias"], 2, 1
    )
    y = torch.nn.functional.batch_norm(
        y,
        None,
        None,
        net.state["first_conv.bn.weight"],
        net.state["first_conv.bn.bias"],
        training=True,
    )
    close(stem(x), y.relu())


def test_weights_without_heads_fill_a_bare_backbone(space, x):
    net = Weights()
    wanted = theirs.body(net, x, SHAPE, PATH)
    for kwargs in ({}, {"norm": "FrozenBN"}):
        model = converted(net.state, StandAloneNetwork(space, PATH, **kwargs))
        for ours, output in zip(model(x).values(), wanted, strict=True):
            close(ours, output)


# supernet


def supernet_weights(x):
    net = Weights()
    for choice in range(4):
        theirs.classifier(net, x, SHAPE, [choice] * 8, supernet=True, classes=CLASSES)
    return net


def our_supernet(space, **kwargs):
    return Classifier(Supernet(space, **kwargs), CLASSES, last_channels=12)


def test_paths_of_the_supernet_compute_the_same(space, x):
    net = supernet_weights(x)
    model = converted(net.state, our_supernet(halves_space(space)))
    for shift in range(4):
        path = [(choice + shift) % 4 for choice in PATH]
        wanted = theirs.classifier(net, x, SHAPE, path, supernet=True, classes=CLASSES)
        with model.backbone.use_path(path):
            close(logits(model, x), wanted)


def test_the_released_supernet_shuffles_by_halves(space, x):
    net = supernet_weights(x)
    with pytest.raises(WeightsError, match="by halves"):
        convert_released(read_released(net.state), our_supernet(space))
    fixed, _ = classifier_weights(x)
    with pytest.raises(WeightsError, match="even/odd form"):
        convert_released(read_released(fixed.state), our_classifier(halves_space(space)))


def test_weights_of_the_two_shuffles_are_not_mixed(space, x):
    net = supernet_weights(x)
    model = our_supernet(halves_space(space))
    checkpoint = convert_released(read_released(net.state), model)
    with pytest.raises(WeightsError, match="fingerprint"):
        load_weights(our_supernet(space), checkpoint)


def test_halves_by_a_loop(space):
    block = HalvesShuffleBlock(space.choices[0], 16, 16, 1, Norm("BN")).eval()
    block.main = torch.nn.Identity()
    order = block(torch.arange(16.0).view(1, 16, 1, 1)).flatten().int().tolist()
    interleaved = [i for pair in zip(range(8), range(8, 16), strict=True) for i in pair]
    assert order == interleaved


# detectors


def detector(name, space, path=PATH):
    """A model of configs/common/models, narrow, with the released heads' form; a supernet's if
    there is no path."""
    model = LazyConfig.load(str(ROOT / f"configs/common/models/{name}.py")).model
    norm = L(Norm)(name="BN")
    features = model.backbone.bottom_up.out_features
    model.backbone.bottom_up = L(Supernet)(space=space, norm=norm, out_features=features)
    if path is not None:
        model.backbone.bottom_up._target_ = StandAloneNetwork
        model.backbone.bottom_up.architecture = list(path)
    model.backbone.out_channels = 8
    if name == "fpn":
        model.backbone.norm = norm
        model.roi_heads.box_head.conv_dims = [8] * 4
        model.roi_heads.box_head.fc_dims = [16]
        model.roi_heads.num_classes = CLASSES
    else:
        model.backbone.top_block.in_feature = "p5"
        model.head.conv_dims = [8] * 4
        model.num_classes = CLASSES
    return instantiate(model)


def pooled_features(count=6):
    return torch.rand(count, 8, 7, 7, dtype=torch.float64)


def run_fpn(net, x, pooled, path=PATH, supernet=False):
    """Maps, objectness, deltas, scores and boxes."""
    body, fpn = ("backbone.", "fpn.") if supernet else ("backbone.body.", "backbone.fpn.")
    features = theirs.body(net, x, SHAPE, path, body, supernet)
    features = theirs.fpn(net, features, 8, norm=True, p6p7=False, prefix=fpn)
    return features, *theirs.rpn(net, features), *theirs.box_head(net, pooled, 8, 16, CLASSES)


def run_retinanet(net, x, path=PATH, supernet=False):
    """Maps, scores and deltas."""
    body, fpn = ("backbone.", "fpn.") if supernet else ("backbone.body.", "backbone.fpn.")
    features = theirs.body(net, x, SHAPE, path, body, supernet)
    features = theirs.fpn(net, [None, *features[1:]], 8, norm=False, p6p7=True, prefix=fpn)
    return features, *theirs.retinanet_head(net, features, CLASSES)


def detector_weights(name, x, supernet=False):
    """All weights of a detector, or of a supernet's."""
    net = Weights()
    for path in [[choice] * 8 for choice in range(4)] if supernet else [PATH]:
        if name == "fpn":
            run_fpn(net, x, pooled_features(), path, supernet)
        else:
            run_retinanet(net, x, path, supernet)
    return net


def check_fpn(model, x, pooled, wanted):
    features, objectness, deltas, scores, boxes = wanted
    ours = list(model.backbone(x).values())
    our_objectness, our_deltas = model.proposal_generator.rpn_head(ours)
    for mine, wanted in (
        (ours, features),
        (our_objectness, objectness),
        (our_deltas, deltas),
    ):
        assert len(mine) == len(wanted) == 5
        for a, b in zip(mine, wanted, strict=True):
            close(a, b)
    our_scores, our_boxes = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
    for k in range(CLASSES):  # their class k + 1
        close(our_scores[:, k], scores[:, k + 1])
        close(our_boxes[:, 4 * k : 4 * k + 4], boxes[:, 4 * k + 4 : 4 * k + 8])
    close(our_scores[:, CLASSES], scores[:, 0])  # background
    assert our_boxes.shape == (6, 4 * CLASSES)


def check_retinanet(model, x, wanted):
    features, scores, deltas = wanted
    ours = [model.backbone(x)[name] for name in ("p3", "p4", "p5", "p6", "p7")]
    for a, b in zip(ours, features, strict=True):
        close(a, b)
    our_scores, our_deltas = model.head(ours)
    weights = torch.tensor(BOXES, dtype=torch.float64)
    assert tuple(model.box2box_transform.weights) == (1, 1, 1, 1)
    for level in range(5):
        for ratio in range(3):
            for size in range(3):
                a, b = 3 * size + ratio, 3 * ratio + size  # our and their number of the anchor
                for k in range(CLASSES):
                    wanted = scores[level][:, b * CLASSES + k]
                    close(our_scores[level][:, a * CLASSES + k], wanted)
                wanted = deltas[level][:, 4 * b : 4 * b + 4] / weights.view(1, 4, 1, 1)
                close(our_deltas[level][:, 4 * a : 4 * a + 4], wanted)


def test_faster_rcnn_computes_the_same(space, x):
    net, pooled = Weights(), pooled_features()
    wanted = run_fpn(net, x, pooled)
    check_fpn(converted(net.state, detector("fpn", space)), x, pooled, wanted)


def test_retinanet_computes_the_same(space, x):
    net = Weights()
    wanted = run_retinanet(net, x)
    check_retinanet(converted(net.state, detector("retinanet", space)), x, wanted)


@pytest.mark.parametrize("name", ["fpn", "retinanet"])
def test_paths_of_a_detectors_supernet_compute_the_same(space, x, name):
    """In the form that their training writes: of DistributedDataParallel, beside the optimizer."""
    net, pooled = detector_weights(name, x, supernet=True), pooled_features()
    size = len(net.state)
    file = {
        "model": {f"module.{key}": tensor for key, tensor in net.state.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.02, "params": [0]}]},
        "scheduler": {"milestones": (60000, 80000), "last_epoch": 90000},
        "iteration": 90000,
    }
    model = converted(file, detector(name, halves_space(space), path=None))
    for shift in range(4):
        path = [(choice + shift) % 4 for choice in PATH]
        with model.backbone.bottom_up.use_path(path):
            if name == "fpn":
                check_fpn(model, x, pooled, run_fpn(net, x, pooled, path, supernet=True))
            else:
                check_retinanet(model, x, run_retinanet(net, x, path, supernet=True))
    assert len(net.state) == size  # the paths made no further weights


def test_anchors_of_offset_half_have_their_centres_and_nearly_their_sides(space, x):
    """What the docstring says of the anchors: the same centres, sides within 6.1%."""
    net = detector_weights("retinanet", x)
    generator = detector("retinanet", space).anchor_generator
    generator.offset = 0.5
    maps = [torch.zeros(1, 1, 2, 2)] * 5
    for level, boxes in enumerate(generator(maps)):
        mine = boxes.tensor[:9].double().view(3, 3, 4).transpose(0, 1).reshape(9, 4)
        anchors = net.state[f"rpn.anchor_generator.cell_anchors.{level}"].clone()
        anchors[:, 2:] += 1  # they count pixels
        torch.testing.assert_close(
            mine[:, :2] + mine[:, 2:], anchors[:, :2] + anchors[:, 2:], atol=1e-4, rtol=0
        )
        off = (anchors[:, 2:] - anchors[:, :2]) / (mine[:, 2:] - mine[:, :2])
        assert off.min() > 1 / 1.061 and off.max() < 1.061


# what is refused


def test_every_name_is_used_and_every_weight_filled(space, x):
    net, _ = classifier_weights(x)
    model = our_classifier(space)
    for name in net.state:
        left = {key: value for key, value in net.state.items() if key != name}
        if name.endswith("num_batches_tracked"):
            convert_released(read_released(left), model)
            continue
        with pytest.raises(WeightsError):
            convert_released(read_released(left), model)
    for name in ("features.0.conv.0.more.weight", "another.weight", "last_conv.extra.bias"):
        with pytest.raises(WeightsError, match=f"of no use in the model: {name}"):
            convert_released(read_released({**net.state, name: torch.zeros(1)}), model)


@pytest.mark.parametrize("supernet", [False, True])
@pytest.mark.parametrize("name", ["fpn", "retinanet"])
def test_of_a_detector_too(space, x, name, supernet):
    net = detector_weights(name, x, supernet)
    model = detector(name, halves_space(space), None) if supernet else detector(name, space)
    body = ("backbone.features.", "backbone.body.features.")  # as in the classifiers
    keys = [key for key in net.state if not key.startswith(body)]
    assert any(key.startswith("fpn." if supernet else "backbone.fpn.") for key in keys)
    if supernet:  # of the body the last block: each of its choices
        keys += [key for key in net.state if key.startswith("backbone.features.7.")]
    for key in keys:
        if not key.endswith("num_batches_tracked"):
            left = {k: v for k, v in net.state.items() if k != key}
            with pytest.raises(WeightsError):
                convert_released(read_released(left), model)
    for more in ("rpn.more", "fpn.fpn_layer9.0.weight", "backbone.fpn.fpn_layer9.0.weight"):
        with pytest.raises(WeightsError, match=f"of no use in the model: {more}"):
            convert_released(read_released({**net.state, more: torch.zeros(1)}), model)
    key = "fpn.fpn_layer3." if supernet else "backbone.fpn.fpn_layer3."
    key += "0.weight" if name == "fpn" else "weight"
    other = {**net.state, key: net.state[key][:4]}
    with pytest.raises(WeightsError, match=rf"shapes differ\n  {key} is \(4, 8, 3, 3\)"):
        convert_released(read_released(other), model)


@pytest.mark.parametrize("name", ["fpn", "retinanet"])
def test_a_single_network_is_no_supernet(space, x, name):
    """The message says of both which it is."""
    single, supernet = (read_released(detector_weights(name, x, s).state) for s in (False, True))
    what = {"fpn": "FPN", "retinanet": "RetinaNet"}[name]
    with pytest.raises(WeightsError, match=f"a single network's {what}.* model has a supernet"):
        convert_released(single, detector(name, halves_space(space), None))
    with pytest.raises(WeightsError, match=f"a supernet's {what}.* model has a single network"):
        convert_released(supernet, detector(name, space))
    with pytest.raises(WeightsError, match="by halves.*take the space 'tiny-halves'"):
        convert_released(supernet, detector(name, space, None))
    with pytest.raises(WeightsError, match=f"a supernet's {what} detector, the model is a Class"):
        convert_released(supernet, our_supernet(halves_space(space)))
    # the supernet's weights under a single detector's names, and the other way round
    for state, start, other in (
        (supernet.state, "backbone.", "backbone.body."),
        (single.state, "backbone.body.", "backbone."),
    ):
        moved = {k.replace(start, other) if k.startswith(start) else k: v for k, v in state.items()}
        model = detector(name, halves_space(space), None)
        if state is single.state:
            model = detector(name, space)
        with pytest.raises(WeightsError, match=f"missing in the weights: {start}first_conv"):
            convert_released(read_released(moved), model)


def test_another_architecture_space_or_shape_is_refused(space, x):
    net, _ = classifier_weights(x)
    released = read_released(net.state)
    with pytest.raises(WeightsError, match=r"0,1,2,3,0,1,2,3, the model has 1,1,2,3,0,1,2,3"):
        convert_released(released, our_classifier(space, (1, *PATH[1:])))
    for other, words in ((SPACES["300m"], "8 blocks and 8 stem"), (SPACES["demo"], "16")):
        with pytest.raises(WeightsError, match=words):
            released.architecture(other)
    wider = SearchSpace("wide", 8, (*space.stages[:3], Stage(44, 1)), space.choices)
    with pytest.raises(WeightsError, match=r"shapes differ\n  features.7.*\(20, 32, 1, 1\)"):
        convert_released(released, our_classifier(wider))
    scalar = {**net.state, "first_conv.conv.bias": torch.zeros(1)}  # would broadcast
    with pytest.raises(WeightsError, match=r"\(8,\) and \(1,\)"):
        convert_released(read_released(scalar), our_classifier(space))
    with pytest.raises(WeightsError, match="last_conv"):
        convert_released(released, our_classifier(space, channels=16))
    with pytest.raises(WeightsError, match="supernet"):
        convert_released(released, our_supernet(halves_space(space)))
    with pytest.raises(WeightsError, match="a single network's classifier, the model is a St"):
        convert_released(released, StandAloneNetwork(space, PATH))


def test_the_space_that_fits_is_named():
    net = Weights()
    path = [int(choice) for choice in theirs.LARGE.split(",")]
    theirs.body(net, torch.zeros(1, 3, 32, 32, dtype=torch.float64), theirs.SHAPES["1.3G"], path)
    with pytest.raises(WeightsError, match=r"'300m' has 20 and 16; take the space 1\.3g"):
        read_released(net.state).architecture(SPACES["300m"])


def test_a_block_of_two_operations_or_a_gap_is_refused(space, x):
    net, _ = classifier_weights(x)
    name = f"features.0.conv.0.interstellar1a_{OPERATIONS[1]}_branch2a.weight"
    with pytest.raises(WeightsError, match="expected one"):
        read_released({**net.state, name: torch.zeros(1)})
    gap = {k: v for k, v in net.state.items() if not k.startswith("features.3.")}
    for state in (gap, {"fc.weight": torch.zeros(1)}):
        with pytest.raises(WeightsError, match="not the weights of a released"):
            read_released(state)
    for wrong in ([1], {}, {"state_dict": {"a": 1}}):
        with pytest.raises(WeightsError):
            read_released(wrong)


def test_other_anchors_or_p6_from_c5_are_refused(space, x):
    net = detector_weights("retinanet", x)
    released = read_released(net.state)
    model = detector("retinanet", space)
    model.backbone.top_block.in_feature = "res5"
    with pytest.raises(WeightsError, match="P6 from P5, the model from res5"):
        convert_released(released, model)
    model.backbone.top_block.in_feature = "p5"
    anchors = "rpn.anchor_generator.cell_anchors.2"
    larger = {**net.state, anchors: net.state[anchors] * 1.26}
    with pytest.raises(WeightsError, match=f"{anchors}.*sides"):
        convert_released(read_released(larger), model)


def test_forms_of_the_file(space, x):
    net, wanted = classifier_weights(x)
    wrapped = {f"module.{name}": tensor for name, tensor in net.state.items()}
    old = {k: v for k, v in net.state.items() if not k.endswith("num_batches_tracked")}
    single = {k: v.float() if v.is_floating_point() else v for k, v in net.state.items()}
    for file in ({"state_dict": wrapped, "optimizer_state_dict": {}}, {"model": net.state}, old):
        close(logits(converted(file, our_classifier(space)), x), wanted)
    model = our_classifier(space)
    checkpoint = convert_released(read_released(single), model)
    assert all(t.dtype == model.state_dict()[k].dtype for k, t in checkpoint["model"].items())


# the command


@pytest.fixture(scope="module")
def command():
    path = ROOT / "tools" / "convert_weights.py"
    spec = importlib.util.spec_from_file_location("convert_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFIG = """
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
from detnas_d2.modeling import Norm
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice

model = LazyConfig.load("{root}/configs/common/models/{name}.py").model
backbone = model.backbone{below}
backbone.norm = L(Norm)(name="BN")
backbone.space = L(SearchSpace)(
    name="tiny",
    stem_channels=8,
    stages=[
        L(Stage)(channels=c, blocks=n) for c, n in ((16, 2), (24, 2), (32, 3), (40, 1))
    ],
    choices=[*(L(ShuffleChoice)(kernel_size=k) for k in (3, 5, 7)), L(XceptionChoice)()],
)
"""
NARROW = {
    "classifier": ("", "model.num_classes = 5\n"),
    "fpn": (
        ".bottom_up",
        "model.backbone.norm = backbone.norm\nmodel.backbone.out_channels = 8\n"
        "model.roi_heads.box_head.conv_dims = [8] * 4\nmodel.roi_heads.num_classes = 5\n"
        "model.roi_heads.box_head.fc_dims = [16]\n",
    ),
    "retinanet": (
        ".bottom_up",
        "model.backbone.out_channels = 8\nmodel.num_classes = 5\nmodel.head.conv_dims = [8] * 4\n",
    ),
}


def config_file(folder, name):
    below, more = NARROW[name]
    path = folder / f"{name}.py"
    path.write_text(CONFIG.format(root=ROOT, name=name, below=below) + more)
    return str(path)


@pytest.mark.parametrize("zipped", [True, False])  # files of new and of old torch
def test_the_command_converts_a_classifier(command, space, x, tmp_path, capsys, zipped):
    net, wanted = classifier_weights(x)
    source, out = tmp_path / "in.pkl", tmp_path / "out" / "model.pth"
    torch.save(net.state, source, _use_new_zipfile_serialization=zipped)
    config = config_file(tmp_path, "classifier")
    command.main([str(source), str(out), "--config-file", config])
    printed = capsys.readouterr().out
    assert "classifier, 8 blocks, 8 stem channels" in printed
    assert "0,1,2,3,0,1,2,3" in printed and "model.last_channels=12" in printed
    model = our_classifier(space)
    DetNASCheckpointer(model, str(tmp_path)).load(str(out))
    torch.testing.assert_close(
        logits(model.eval(), x.float()), wanted.float(), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(CheckpointError, match="architecture"):
        DetNASCheckpointer(our_classifier(space, (1, *PATH[1:])), str(tmp_path)).load(str(out))


def test_the_command_keeps_an_architecture_that_the_config_states(command, x, tmp_path, capsys):
    net, _ = classifier_weights(x)
    source, out = tmp_path / "in.pth", tmp_path / "out.pth"
    torch.save({"state_dict": net.state}, source)
    with Path(config_file(tmp_path, "classifier")).open("a") as file:
        file.write(
            'backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"\n'
            'backbone.architecture = "3,1,2,3,0,1,2,3"\n'
        )
    with pytest.raises(SystemExit, match="the model has 3,1,2,3,0,1,2,3"):
        command.main([str(source), str(out), "--config-file", file.name])
    assert not out.exists()
    right = "model.backbone.architecture=0,1,2,3,0,1,2,3"
    command.main([str(source), str(out), "--config-file", file.name, right])
    assert out.exists()


@pytest.mark.parametrize("supernet", [False, True])
@pytest.mark.parametrize("name", ["classifier", "fpn", "retinanet"])
def test_the_command_converts(command, space, x, tmp_path, capsys, name, supernet):
    """All kinds, by a config of a supernet; what is printed of another config loads the result."""
    if name == "classifier":
        net = supernet_weights(x) if supernet else classifier_weights(x)[0]
        model = our_supernet(halves_space(space)) if supernet else our_classifier(space)
    else:
        net = detector_weights(name, x, supernet)
        model = detector(name, halves_space(space), None) if supernet else detector(name, space)
    source, out = tmp_path / "in.pth", tmp_path / "out.pth"
    torch.save({"model": net.state}, source)
    command.main([str(source), str(out), "--config-file", config_file(tmp_path, name)])
    printed = capsys.readouterr().out
    what = {"classifier": "classifier", "fpn": "FPN detector", "retinanet": "RetinaNet detector"}
    assert f"in.pth: a {'supernet' if supernet else 'single network'}'s {what[name]}," in printed
    assert ("space = L(halves_space)(space=tiny)" in printed) == supernet
    assert ("L(StandAloneNetwork)(architecture='0,1,2,3,0,1,2,3', ...)" in printed) == (
        not supernet
    )
    assert ("model.backbone.top_block.in_feature=p5" in printed) == (name == "retinanet")
    DetNASCheckpointer(model, str(tmp_path)).load(str(out))


@pytest.mark.parametrize("config", ["classifier", "fpn", "retinanet"])
@pytest.mark.parametrize("name", ["classifier", "fpn", "retinanet"])
def test_a_config_of_something_else_is_refused(command, x, tmp_path, name, config):
    source, out = tmp_path / "in.pth", tmp_path / "out.pth"
    net = supernet_weights(x) if name == "classifier" else detector_weights(name, x, True)
    torch.save(net.state, source)
    with open(config_file(tmp_path, config), "a") as file:
        if config == name:  # the kind is right, but it is a single network's config
            file.write('backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"\n')
            file.write('backbone.architecture = "0,1,2,3,0,1,2,3"\n')
    expected = "is a single network of architecture 0,1,2,3,0,1,2,3; take the config of the super"
    if config != name:
        expected = "a supernet's .*, the model is a .*; expected "
    with pytest.raises(SystemExit, match=expected):
        command.main([str(source), str(out), "--config-file", file.name])
    assert not out.exists()


@pytest.mark.parametrize("name", ["fpn", "retinanet"])
def test_the_detectors_supernet_at_full_size(command, tmp_path, capsys, name):
    """All names and shapes of the COCO supernet, and the overrides with which a search loads it."""
    net, supernet = Weights(), theirs.SHAPES["300M"]
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64) * 2 - 1
    pooled = torch.rand(2, 256, 7, 7, dtype=torch.float64)

    def run(path):
        features = theirs.body(net, x, supernet, path, "backbone.", True)
        if name == "fpn":
            maps = theirs.fpn(net, features, 256, norm=True, p6p7=False, prefix="fpn.")
            theirs.rpn(net, maps)
            theirs.box_head(net, pooled, 256, 1024, 80)
        else:
            features[0] = None
            maps = theirs.fpn(net, features, 256, norm=False, p6p7=True, prefix="fpn.")
            theirs.retinanet_head(net, maps, 80)
        return maps

    for choice in range(4):
        run([choice] * 20)
    source, out = tmp_path / "model_final.pth", tmp_path / "out.pth"
    single = {k: v.float() if v.is_floating_point() else v for k, v in net.state.items()}
    torch.save({"model": {f"module.{k}": v for k, v in single.items()}}, source)
    config = str(ROOT / f"configs/coco/step2_supernet_{name}_300m.py")
    command.main([str(source), str(out), "--config-file", config])
    notes = [line.partition(" needs: ")[2] for line in capsys.readouterr().out.splitlines()]
    overrides = [n for n in notes if n.startswith("model.")]
    assert "path_sampler.space=300m-halves (to train)" in notes
    cfg = load_config(str(ROOT / f"configs/coco/step3_search_{name}_300m.py"), overrides)
    model = filled(instantiate(cfg.model), torch.load(out, weights_only=True))
    path = [int(choice) for choice in PUBLISHED["COCO_FPN_300M"][0].split(",")]
    with model.backbone.bottom_up.use_path(path):
        for ours, wanted in zip(model.backbone(x).values(), run(path), strict=True):
            torch.testing.assert_close(
                ours, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
            )


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


def test_the_command_unpickles_no_objects(command, tmp_path):
    config = config_file(tmp_path, "classifier")
    plain, saved, broken = (tmp_path / name for name in ("a.pkl", "b.pth", "c.pth"))
    plain.write_bytes(pickle.dumps(Bomb(), protocol=2))
    torch.save({"state_dict": Bomb()}, saved)
    broken.write_bytes(b"\x80\x02 nothing")
    for path in (plain, saved, broken, tmp_path / "absent.pth"):
        with pytest.raises(SystemExit, match="could not be read|there is no file"):
            command.main([str(path), str(tmp_path / "out.pth"), "--config-file", config])
