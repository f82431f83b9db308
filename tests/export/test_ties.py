"""ONNX detectors on many images, also where the scores of many anchors are equal bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from detectron2.config import LazyConfig, instantiate
from PIL import Image
from torch import nn

from detnas_d2.engine import DetNASCheckpointer
from detnas_d2.export import Trained, export, load_trained
from detnas_d2.export.graphs import TiesInOrder

pytest.importorskip("onnxruntime")
COUNT = 24


def even_background(model: nn.Module) -> nn.Module:
    """Heads whose ReLU is zero in most places, where every anchor's score is the bias."""
    generator = torch.Generator().manual_seed(1)

    def fill(parameter: torch.Tensor, std: float) -> None:
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    for module in model.modules():
        if isinstance(getattr(module, "running_var", None), torch.Tensor):
            fill(module.running_mean, 0.3)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    if hasattr(model, "head"):
        hidden = [m for m in model.head.cls_subnet if isinstance(m, nn.Conv2d)][-1]
        fill(model.head.cls_score.weight, 0.03)  # no score is rounded to 1
        nn.init.constant_(model.head.cls_score.bias, -2.0)
        fill(model.head.bbox_pred.weight, 0.1)
    else:
        hidden = model.proposal_generator.rpn_head.conv
        fill(model.proposal_generator.rpn_head.objectness_logits.weight, 1.0)
        fill(model.roi_heads.box_predictor.cls_score.weight, 1.0)
    fill(hidden.weight, 0.3)
    nn.init.constant_(hidden.bias, -4.0)
    return model.eval()


@pytest.fixture(scope="module", params=["retinanet", "detector"])
def trained(request, tmp_path_factory) -> Trained:
    folder = tmp_path_factory.mktemp(request.param)
    cfg = tiny.listed(getattr(tiny, request.param)(folder, tiny.ARCHITECTURE))
    if request.param == "retinanet":
        cfg.model.test_score_thresh = 0.05
    else:
        cfg.model.proposal_generator.post_nms_topk = (40, 40)
        cfg.model.roi_heads.box_predictor.test_score_thresh = 0.02
    LazyConfig.save(cfg, str(folder / "config.yaml"))
    torch.manual_seed(0)
    DetNASCheckpointer(even_background(instantiate(cfg.model)), str(folder)).save("model_final")
    return load_trained(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Rectangles on an even ground, and noise."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    files = []
    for k in range(COUNT):
        height, width = random.integers(48, 120, 2)
        pixels = np.full((height, width, 3), random.integers(0, 256, 3), dtype=np.uint8)
        for _ in range(3):
            y, x = random.integers(0, height - 16), random.integers(0, width - 16)
            pixels[y : y + 16, x : x + 12] = random.integers(0, 256, 3)
        if k % 4 == 3:
            pixels = random.integers(0, 256, pixels.shape, dtype=np.uint8)
        files.append(str(folder / f"{k}.png"))
        Image.fromarray(pixels).save(files[-1])
    return files


def test_an_onnx_detector_on_many_images(trained, files, tmp_path):
    """The check of the export passes on all of them, and has enough to compare."""
    done = export(trained, "onnx", tmp_path / "net.onnx", images=files)
    assert not done.made_up and done.comparison.images == COUNT + 1
    assert done.comparison.detections >= 10 * COUNT


@pytest.mark.parametrize("largest", [True, False])
def test_the_first_of_equal_values_comes_first(largest):
    values = torch.randint(0, 5, (3, 2000), generator=torch.Generator().manual_seed(0)).float()
    key = -values.numpy() if largest else values.numpy()
    expected = np.argsort(key, axis=1, kind="stable")
    with TiesInOrder():
        for found in (
            values.sort(dim=1, descending=largest),
            torch.sort(values, 1, largest),
            values.topk(700, dim=1, largest=largest),
            torch.topk(values, 700, largest=largest),
        ):
            indices = found[1].numpy()
            np.testing.assert_array_equal(indices, expected[:, : indices.shape[1]])
            np.testing.assert_array_equal(found[0], np.take_along_axis(values.numpy(), indices, 1))
