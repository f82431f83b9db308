"""The authors' networks a second time, by plain functions and the names of their weights.

Nothing of detnas_d2 is in here. `Weights` draws a weight when a network first asks for it, so that
the names and the computation cannot disagree; run a network once, and `weights.state` is the file
that the authors' code would save. Sources: ShuffleNet-Series/DetNAS, DetNAS/Supernet-ImageNet,
DetNAS/maskrcnn_benchmark: a detector's backbone is a Sequential of "body" and "fpn" there, a
supernet's detector has "backbone" and "fpn" side by side (modeling/detector/generalized_rcnn.py).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

OPERATIONS = ("shufflenet_3x3", "shufflenet_5x5", "shufflenet_7x7", "xception_3x3")
LARGE = "0,0,3,1,2,1,0,2,0,3,1,2,3,3,2,0,2,1,1,3,2,0,2,2,2,1,3,1,0,3,3,3,1,3,3,3,3,3,3,3"
# name: (stem, stages, last convolution), repeats, architecture, parameters published in millions
PUBLISHED = {
    "COCO_FPN_300M": ("2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2", 3.5),
    "COCO_FPN_3.8G": (LARGE, 29.5),
}
SHAPES = {  # stem, stages, repeats, last convolution
    "300M": (16, (64, 160, 320, 640), (4, 4, 8, 4), 1024),
    "3.8G": (72, (172, 432, 864, 1728), (8, 8, 16, 8), 1728),
}


class Weights:
    """Named random tensors in float64, and the layers that ask for them."""

    def __init__(self, seed: int = 0) -> None:
        self.state: dict[str, torch.Tensor] = {}
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, name: str, *shape: int, low: float = -1, high: float = 1) -> torch.Tensor:
        if name not in self.state:
            random = torch.rand(shape, generator=self.generator, dtype=torch.float64)
            self.state[name] = random * (high - low) + low
        assert self.state[name].shape == shape, name
        return self.state[name]

    def conv(self, x, name, out, size=1, stride=1, depthwise=False, bias=False):
        inp = 1 if depthwise else x.shape[1]
        scale = 3 / (inp * size * size) ** 0.5
        weight = self(f"{name}.weight", out, inp, size, size, low=-scale, high=scale)
        groups = out if depthwise else 1
        shift = self(f"{name}.bias", out) if bias else None
        return F.conv2d(x, weight, shift, stride, size // 2, groups=groups)

    def norm(self, x, name):
        c = x.shape[1]
        mean, var = (
            self(f"{name}.running_mean", c),
            self(f"{name}.running_var", c, low=0.5, high=2),
        )
        weight, bias = self(f"{name}.weight", c, low=0.5, high=1.5), self(f"{name}.bias", c)
        self.state.setdefault(f"{name}.num_batches_tracked", torch.tensor(7))
        shape = (1, c, 1, 1)
        x = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
        return x * weight.view(shape) + bias.view(shape)

    def linear(self, x, name, out):
        scale = 3 / x.shape[1] ** 0.5
        weight = self(f"{name}.weight", out, x.shape[1], low=-scale, high=scale)
        return x @ weight.T + self(f"{name}.bias", out)

    def parameters(self) -> int:
        """What the authors' code counts as parameters."""
        buffers = ("running_mean", "running_var", "num_batches_tracked")
        return sum(t.numel() for name, t in self.state.items() if not name.endswith(buffers))


def even_odd(x):
    """channel_shuffle2: the fixed networks."""
    n, c, h, w = x.shape
    pairs = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2)
    pairs = pairs.reshape(2, -1, c // 2, h, w)
    return pairs[0], pairs[1]


def halves(x):
    """channel_shuffle1: the supernet."""
    n, c, h, w = x.shape
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
    return x[:, : c // 2], x[:, c // 2 :]


def separable(net, x, before, name, out, size, stride, spatial=True, relu=True):
    """A depthwise convolution with norm (where spatial), a 1x1 convolution with norm."""
    conv = f"{before}.interstellar{name}"
    if spatial:
        x = net.conv(x, f"{conv}_s", x.shape[1], size, stride, depthwise=True)
        x = net.norm(x, f"{conv}_s_bn")
    x = net.norm(net.conv(x, conv, out), f"{before}.bn{name}")
    return F.relu(x) if relu else x


def block(net, x, before, place, op, out, stride, shuffle):
    size = int(op[-1])
    if stride == 1:
        project, x = shuffle(x)
    else:
        name = f"{place}_proj"
        project = separable(net, x, f"{before}.proj_conv", name, x.shape[1], size, stride)
    rest, mid = out - project.shape[1], out // 2
    name = f"{place}_{op}_branch2"
    if op.startswith("xception"):
        x = separable(net, x, f"{before}.conv.0", f"{name}a", mid, 3, stride)
        x = separable(net, x, f"{before}.conv.1", f"{name}b", mid, 3, 1)
        x = separable(net, x, f"{before}.conv.2", f"{name}c", rest, 3, 1, relu=False)
    else:
        x = separable(net, x, f"{before}.conv.0", f"{name}a", mid, 1, 1, spatial=False)
        x = separable(net, x, f"{before}.conv.1", f"{name}b", rest, size, stride, relu=False)
    return torch.cat((project, F.relu(x)), 1)


def body(net, x, shape, path, prefix="", supernet=False):
    """The four stages' outputs; `path` has a choice for each block."""
    stem, stages, repeats = shape[:3]
    x = net.conv(x, f"{prefix}first_conv.conv", stem, 3, 2, bias=True)
    x = F.relu(net.norm(x, f"{prefix}first_conv.bn"))
    outputs, n = [], 0
    for stage, (channels, count) in enumerate(zip(stages, repeats, strict=True), 1):
        for i in range(count):
            before = f"{prefix}features.{n}" + (f".{path[n]}" if supernet else "")
            place = f"{stage}{'abcdefghijklmnop'[i]}"
            shuffle = halves if supernet else even_odd
            op = OPERATIONS[path[n]]
            x = block(net, x, before, place, op, channels, 1 if i else 2, shuffle)
            n += 1
        outputs.append(x)
    return outputs


def classifier(net, x, shape, path, supernet=False, classes=1000):
    """Logits."""
    x = body(net, x, shape, path, supernet=supernet)[-1]
    x = net.conv(x, "last_conv.conv", shape[3], bias=True)
    x = F.relu(net.norm(x, "last_conv.bn"))
    return net.linear(x.mean((2, 3)), "fc.fc", classes)


def fpn(net, features, width, norm, p6p7, prefix="backbone.fpn."):
    """Feature maps from the highest resolution on; a feature of None is left out."""

    def conv(x, name, size):
        name = f"{prefix}{name}"
        if not norm:
            return net.conv(x, name, width, size, bias=True)
        return net.norm(net.conv(x, f"{name}.0", width, size, bias=True), f"{name}.1")

    last, results = None, []
    for i in range(len(features), 0, -1):
        if features[i - 1] is None:
            continue
        lateral = conv(features[i - 1], f"fpn_inner{i}", 1)
        last = lateral if last is None else lateral + F.interpolate(last, scale_factor=2)
        results.insert(0, conv(last, f"fpn_layer{i}", 3))
    if not p6p7:
        return [*results, F.max_pool2d(results[-1], 1, 2)]
    top = f"{prefix}top_blocks."
    p6 = net.conv(results[-1], f"{top}p6", width, 3, 2, bias=True)  # of P5, not of C5
    return [*results, p6, net.conv(F.relu(p6), f"{top}p7", width, 3, 2, bias=True)]


def rpn(net, features):
    """Objectness logits and box deltas of each level."""
    logits, deltas = [], []
    for x in features:
        x = F.relu(net.conv(x, "rpn.head.conv", x.shape[1], 3, bias=True))
        logits.append(net.conv(x, "rpn.head.cls_logits", 3, bias=True))
        deltas.append(net.conv(x, "rpn.head.bbox_pred", 12, bias=True))
    anchors(net, (4, 8, 16, 32, 64), [(size,) for size in (32, 64, 128, 256, 512)])
    return logits, deltas


def box_head(net, pooled, width, fc, classes):
    """Class logits, background first, and box deltas with four for the background."""
    extractor = "roi_heads.box.feature_extractor."
    for i in range(4):
        x = net.conv(pooled, f"{extractor}xconvs.{3 * i}", width, 3, bias=True)
        pooled = F.relu(net.norm(x, f"{extractor}xconvs.{3 * i + 1}"))
    x = F.relu(net.linear(pooled.flatten(1), f"{extractor}fc6", fc))
    predictor = "roi_heads.box.predictor."
    return (
        net.linear(x, f"{predictor}cls_score", classes + 1),
        net.linear(x, f"{predictor}bbox_pred", 4 * (classes + 1)),
    )


def retinanet_head(net, features, classes):
    """Logits (anchors * classes channels) and deltas (anchors * 4) of each level."""
    logits, deltas = [], []
    for x in features:
        a = b = x
        for i in (0, 2, 4, 6):
            a = F.relu(net.conv(a, f"rpn.head.cls_tower.{i}", x.shape[1], 3, bias=True))
            b = F.relu(net.conv(b, f"rpn.head.bbox_tower.{i}", x.shape[1], 3, bias=True))
        logits.append(net.conv(a, "rpn.head.cls_logits", 9 * classes, 3, bias=True))
        deltas.append(net.conv(b, "rpn.head.bbox_pred", 36, 3, bias=True))
    sizes = [[size * 2 ** (i / 3) for i in range(3)] for size in (32, 64, 128, 256, 512)]
    anchors(net, (8, 16, 32, 64, 128), sizes)
    return logits, deltas


def anchors(net, strides, sizes):
    """The buffers of the anchor generator: for each ratio, then each size, x1 y1 x2 y2."""
    for level, (stride, level_sizes) in enumerate(zip(strides, sizes, strict=True)):
        centre, boxes = (stride - 1) / 2, []
        for ratio in (0.5, 1.0, 2.0):
            w = np.round(np.sqrt(stride * stride / ratio))
            h = np.round(w * ratio)
            for size in level_sizes:
                x, y = (w * size / stride - 1) / 2, (h * size / stride - 1) / 2
                boxes.append([centre - x, centre - y, centre + x, centre + y])
        net.state[f"rpn.anchor_generator.cell_anchors.{level}"] = torch.tensor(boxes)
