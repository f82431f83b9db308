"""The registered builders through yacs configs, and the same networks as LazyConfig nodes."""

import pytest
import torch
from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.modeling import build_backbone, build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from detnas_d2.modeling import StandAloneNetwork, Supernet, add_detnas_config, find_backbone
from detnas_d2.space import SpaceError

A = "0,1,2,3,0,1,2,3"
SPACE_FILE = """
from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice
space = L(SearchSpace)(
    name="tiny",
    stem_channels=8,
    stages=[L(Stage)(channels=c, blocks=b) for c, b in ((16, 2), (24, 2), (32, 3), (40, 1))],
    choices=[*(L(ShuffleChoice)(kernel_size=k) for k in (3, 5, 7)), L(XceptionChoice)()],
)
"""
SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.WEIGHTS": "",
    "MODEL.DETNAS.NORM": "naiveSyncBN",
    "MODEL.DETNAS.NORM_MOMENTUM": "0.01",
    "MODEL.FPN.OUT_CHANNELS": "16",
    "MODEL.FPN.NORM": "BN",
    "MODEL.ROI_BOX_HEAD.NUM_CONV": "4",
    "MODEL.ROI_BOX_HEAD.NUM_FC": "1",
    "MODEL.ROI_BOX_HEAD.CONV_DIM": "16",
    "MODEL.ROI_BOX_HEAD.FC_DIM": "16",
    "MODEL.ROI_BOX_HEAD.NORM": "naiveSyncBN",
    "MODEL.ROI_HEADS.NUM_CLASSES": "3",
    "MODEL.RETINANET.NUM_CLASSES": "3",
    "MODEL.RETINANET.NUM_CONVS": "1",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "20",
}


@pytest.fixture
def space_file(tmp_path):
    path = tmp_path / "space.py"
    path.write_text(SPACE_FILE)
    return str(path)


def config(base, builder, space, *opts):
    cfg = get_cfg()
    add_detnas_config(cfg)
    cfg.merge_from_file(model_zoo.get_config_file(base))
    cfg.merge_from_list([item for pair in SMALL.items() for item in pair])
    cfg.merge_from_list(["MODEL.DETNAS.SPACE", space, "MODEL.BACKBONE.NAME", builder])
    cfg.merge_from_list(list(opts))
    return cfg


def train_and_test(model):
    """One step's losses and gradients in training, detections in inference, on a tiny image."""
    target = Instances((50, 70), gt_boxes=Boxes([[5.0, 5, 40, 45]]), gt_classes=torch.tensor([1]))
    inputs = [{"image": torch.rand(3, 50, 70) * 255, "instances": target}]
    with EventStorage():
        losses = model.train()(inputs)
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert find_backbone(model)[1].stem.conv.weight.grad.abs().sum() > 0
    with torch.no_grad():
        (result,) = model.eval()([{"image": inputs[0]["image"], "height": 50, "width": 70}])
    assert result["instances"].image_size == (50, 70)
    return losses


@pytest.mark.parametrize(
    ("base", "builder", "levels"),
    [
        ("Base-RCNN-FPN.yaml", "build_detnas{}_fpn_backbone", "p2 p3 p4 p5 p6"),
        ("Base-RetinaNet.yaml", "build_retinanet_detnas{}_fpn_backbone", "p3 p4 p5 p6 p7"),
    ],
)
@pytest.mark.parametrize("kind", [StandAloneNetwork, Supernet])
def test_detectors_from_yacs(space_file, base, builder, levels, kind):
    name = builder.format("_supernet" if kind is Supernet else "")
    model = build_model(config(base, name, space_file, "MODEL.DETNAS.ARCHITECTURE", A))
    prefix, backbone = find_backbone(model)
    assert type(backbone) is kind and prefix == "backbone.bottom_up."
    if kind is Supernet:
        backbone.set_path(A)
    else:
        assert str(backbone.architecture) == A
    assert backbone.stem.norm.momentum == 0.01
    shapes = model.backbone.output_shape()
    assert list(shapes) == levels.split()
    assert [s.stride for s in shapes.values()] == [2 ** int(level[1]) for level in levels.split()]
    assert model.backbone.size_divisibility == 32
    assert isinstance(model.backbone.fpn_lateral5.norm, nn.BatchNorm2d)
    train_and_test(model)


@pytest.mark.parametrize(
    ("source", "in_feature", "channels"), [("", "res5", 40), ("res5", "res5", 40), ("p5", "p5", 16)]
)
def test_source_of_p6(space_file, source, in_feature, channels):
    opts = ["MODEL.DETNAS.ARCHITECTURE", A, "MODEL.DETNAS.P6_FROM", source]
    name = "build_retinanet_detnas_fpn_backbone"
    model = build_model(config("Base-RetinaNet.yaml", name, space_file, *opts))
    assert model.backbone.top_block.in_feature == in_feature
    with torch.no_grad():
        image = torch.rand(1, 3, 64, 64)
        levels = model.backbone.eval()(image)
        stages = model.backbone.bottom_up(image)
        top = model.backbone.top_block.p6
        assert top.in_channels == channels
        assert torch.allclose(levels["p6"], top({**levels, **stages}[in_feature]), atol=1e-5)


def test_momentum_of_every_norm(space_file):
    """Of backbone, FPN and box head; without a norm the latter two have biases."""
    opts = ["MODEL.DETNAS.ARCHITECTURE", A, "MODEL.ROI_BOX_HEAD.NAME", "DetNASConvFCHead"]
    name = "build_detnas_fpn_backbone"
    model = build_model(config("Base-RCNN-FPN.yaml", name, space_file, *opts))
    norms = {n: m for n, m in model.named_modules() if isinstance(m, _BatchNorm)}
    assert {m.momentum for m in norms.values()} == {0.01}
    outside = [n for n in norms if not n.startswith("backbone.bottom_up.")]
    assert len(outside) == 2 * 4 + 4  # lateral and output of each level, and the head's convs

    opts += ["MODEL.FPN.NORM", "", "MODEL.ROI_BOX_HEAD.NORM", ""]
    model = build_model(config("Base-RCNN-FPN.yaml", name, space_file, *opts))
    for conv in (model.backbone.fpn_output3, model.roi_heads.box_head.conv4):
        assert conv.norm is None and conv.bias is not None


@pytest.mark.parametrize("supernet", [False, True])
def test_plain_backbones_from_yacs(space_file, supernet):
    name = "build_detnas_supernet_backbone" if supernet else "build_detnas_backbone"
    opts = ["MODEL.DETNAS.ARCHITECTURE", f"[{A}]", "MODEL.DETNAS.OUT_FEATURES", "['res4']"]
    backbone = build_backbone(config("Base-RCNN-FPN.yaml", name, space_file, *opts))
    if supernet:
        backbone.set_path(A)
    assert backbone(torch.zeros(1, 3, 64, 96))["res4"].shape == (1, 32, 4, 6)
    assert list(backbone.output_shape()) == ["res4"]


@pytest.mark.parametrize(
    ("opts", "error", "message"),
    [
        (["MODEL.DETNAS.ARCHITECTURE", "None"], ValueError, "MODEL.DETNAS.ARCHITECTURE is not set"),
        (["MODEL.DETNAS.SPACE", "30m"], SpaceError, "300m"),
        (["MODEL.DETNAS.SPACE", "no/such.py"], SpaceError, "there is no config file 'no/such.py'"),
        (["MODEL.DETNAS.P6_FROM", "res4"], ValueError, "is 'res4'; expected 'res5' .* or 'p5'"),
        (["MODEL.DETNAS.NORM", "BatchNorm"], ValueError, "unknown norm 'BatchNorm'"),
        (["MODEL.DETNAS.OUT_FEATURES", "['p2']"], ValueError, "out_features"),
    ],
)
def test_wrong_config(space_file, opts, error, message):
    opts = ["MODEL.DETNAS.ARCHITECTURE", A, *opts]
    with pytest.raises(error, match=message):
        name = "build_retinanet_detnas_fpn_backbone"
        build_model(config("Base-RetinaNet.yaml", name, space_file, *opts))
