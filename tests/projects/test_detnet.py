"""DetNet-59: the published count, its blocks, its pyramid, a detector and a classifier on it."""

from __future__ import annotations

import copy

import pytest
import torch
from detectron2.modeling.backbone import BasicStem, ResNet
from detectron2.modeling.poolers import ROIPooler
from detectron2.structures import Boxes
from fvcore.nn import FlopCountAnalysis
from torch.nn import functional as F
from torchvision.ops import roi_align

from projects.DetNAS.paper.detnet import DetNet, DetNetFPN, PyramidROIPooler

LEVELS = {"p2": 4, "p3": 8, "p4": 16, "p5": 16, "p6": 16}


def resnet50(out_features=None, classes=None):
    stages = ResNet.make_default_stages(50, norm="BN", stride_in_1x1=True)
    return ResNet(BasicStem(), stages, classes, out_features)


@pytest.fixture(scope="module")
def detnet():
    torch.manual_seed(1)
    return DetNet().eval()


def test_published_multiply_adds(detnet):
    """4.8G at 224x224, with the classifier's linear layer; ResNet-50 is 3.8G by the same rule."""

    def counted(model):
        analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 224, 224))
        return analysis.unsupported_ops_warnings(False).by_operator()["conv"]

    def stage(pixels, width_in, width, width_out):
        """Three blocks of 1x1, 3x3, 1x1, and a 1x1 shortcut in the first."""
        inner = 3 * (9 * width**2 + width * width_out)
        return pixels * (inner + width_in * (width + width_out) + 2 * width_out * width)

    resnet, ours = counted(resnet50()), counted(detnet)
    shared = resnet - stage(7**2, 1024, 512, 2048)
    assert ours == shared + 2 * stage(14**2, 1024, 256, 1024)
    assert ours + 1024 * 1000 == pytest.approx(4.8e9, rel=0.02)
    assert resnet + 2048 * 1000 == pytest.approx(3.8e9, rel=0.02)


def test_first_four_stages_are_those_of_resnet50(detnet):
    resnet = resnet50(["res2", "res3", "res4"]).eval()
    shared = {k: v for k, v in detnet.state_dict().items() if k[:4] not in ("res5", "res6")}
    resnet.load_state_dict(shared)  # all keys and shapes
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = detnet(x), resnet(x)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.parametrize("stage", ["res5", "res6"])
def test_dilated_blocks_by_plain_functions(detnet, stage):
    model = copy.deepcopy(detnet)
    for name, tensor in model.state_dict().items():
        if ".norm." in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 2)
    weights, x = model.state_dict(), torch.randn(1, 1024, 7, 6)

    def conv_norm(x, name, **kwargs):
        name = f"{stage}.{name}"
        x = F.conv2d(x, weights[f"{name}.weight"], **kwargs)
        values = (weights[f"{name}.norm.{k}"] for k in ("running_mean", "running_var"))
        affine = (weights[f"{name}.norm.{k}"] for k in ("weight", "bias"))
        return F.batch_norm(x, *values, *affine)

    with torch.no_grad():
        got = getattr(model, stage)(x)
        for i, kind in enumerate("BAA"):
            y = conv_norm(x, f"{i}.conv1").relu()
            y = conv_norm(y, f"{i}.conv2", padding=2, dilation=2).relu()
            y = conv_norm(y, f"{i}.conv3")
            x = (y + (conv_norm(x, f"{i}.shortcut") if kind == "B" else x)).relu()
    torch.testing.assert_close(got, x)


def test_out_features():
    shapes = {k: (s.channels, s.stride) for k, s in DetNet().output_shape().items()}
    late = dict.fromkeys(("res4", "res5", "res6"), (1024, 16))
    assert shapes == {"res2": (256, 4), "res3": (512, 8), **late}
    model = DetNet(out_features=["res5", "res3"])
    assert list(model.output_shape()) == list(model(torch.zeros(1, 3, 32, 32))) == ["res3", "res5"]
    assert not hasattr(model, "res6")  # nothing without a gradient
    for wrong in (["res7"], [], ["res6", "res6"], ["stem"], "res6"):
        with pytest.raises(ValueError, match=r"out_features is .*res2, res3, res4, res5, res6"):
            DetNet(out_features=wrong)


# the pyramid


def test_fpn_adds_levels_of_one_stride_as_they_are(detnet):
    fpn = DetNetFPN(detnet, out_channels=16).eval()
    shapes = fpn.output_shape()
    assert {k: (s.stride, s.channels) for k, s in shapes.items()} == {
        k: (stride, 16) for k, stride in LEVELS.items()
    }
    assert fpn.size_divisibility == 16
    x = torch.randn(1, 3, 48, 80)
    with torch.no_grad():
        got, c = fpn(x), detnet(x)
        lateral = {n: getattr(fpn, f"fpn_lateral{n}")(c[f"res{n}"]) for n in range(2, 7)}
        p5 = lateral[5] + lateral[6]
        top = lateral[4] + p5
        p3 = lateral[3] + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
        want = {"p6": lateral[6], "p5": p5, "p4": top, "p3": p3}
        want["p2"] = lateral[2] + p3.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert list(got) == list(LEVELS)
    for name, level in want.items():
        torch.testing.assert_close(got[name], getattr(fpn, f"fpn_output{name[1:]}")(level))


def test_pooler_goes_by_size_and_samples_at_the_levels_own_scale():
    with pytest.raises(AssertionError, match="pyramid"):  # why there is another
        ROIPooler(7, (1 / 4, 1 / 8, 1 / 16, 1 / 16), 0, "ROIAlignV2")
    strides = (4, 8, 16, 16)
    pooler = PyramidROIPooler(
        output_size=7, scales=[1 / s for s in strides], sampling_ratio=0, pooler_type="ROIAlignV2"
    )
    maps = [torch.randn(1, 3, 512 // s, 512 // s) for s in strides]
    sizes = {20: 0, 111: 0, 113: 1, 223: 1, 225: 2, 447: 2, 449: 3, 900: 3}  # FPN, equation 1
    boxes = torch.tensor([[3.0, 5.0, 3.0 + size, 5.0 + size] for size in sizes])
    for box, level, pooled in zip(boxes, sizes.values(), pooler(maps, [Boxes(boxes)]), strict=True):
        want = roi_align(maps[level], [box[None]], 7, 1 / strides[level], aligned=True)[0]
        torch.testing.assert_close(pooled, want)
