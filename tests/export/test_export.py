"""Exported files compute what the network does, and need none of our code to."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling import GeneralizedRCNN
from PIL import Image
from torch import nn

from detnas_d2.engine import DetNASCheckpointer
from detnas_d2.export import (
    Exported,
    ExportError,
    Trained,
    TrainedError,
    create_backbone,
    export,
    load_trained,
)
from detnas_d2.export.__main__ import main
from detnas_d2.modeling import StandAloneNetwork, find_backbone
from detnas_d2.space import get_space

NAMES = [{"id": 5, "name": "cell"}, {"id": 2, "name": "platelet"}, {"id": 9, "name": "other"}]
SIZES = ((72, 96), (64, 64), (100, 41), (161, 130), (33, 240))


def decisive(model: nn.Module) -> nn.Module:
    """Statistics and heads with which an untrained detector detects, and surely so."""
    generator = torch.Generator().manual_seed(1)

    def fill(parameter: torch.Tensor, std: float) -> None:
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    for module in model.modules():
        if isinstance(getattr(module, "running_var", None), torch.Tensor):
            fill(module.running_mean, 0.3)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    if hasattr(model, "head"):
        fill(model.head.cls_score.weight, 0.3)
        nn.init.constant_(model.head.cls_score.bias, -2.0)
        fill(model.head.bbox_pred.weight, 0.1)
        model.test_score_thresh = 0.05
    else:
        fill(model.roi_heads.box_predictor.cls_score.weight, 1.0)
        fill(model.proposal_generator.rpn_head.objectness_logits.weight, 1.0)
    return model.eval()


@pytest.fixture(scope="module", params=["retinanet", "detector"])
def folder(request, tmp_path_factory) -> Path:
    """The folder of a training whose network detects."""
    folder = tmp_path_factory.mktemp(request.param)
    cfg = tiny.listed(getattr(tiny, request.param)(folder, tiny.ARCHITECTURE))
    if request.param == "retinanet":
        cfg.model.test_score_thresh = 0.05
        # also on levels where the example has fewer candidates than that, and larger images more
        cfg.model.test_topk_candidates = 30
    else:
        cfg.model.proposal_generator.post_nms_topk = (40, 40)
        cfg.model.roi_heads.box_predictor.test_score_thresh = 0.02
        cfg.model.roi_heads.box_predictor.test_nms_thresh = 0.8
    LazyConfig.save(cfg, str(folder / "config.yaml"))
    torch.manual_seed(0)
    checkpointer = DetNASCheckpointer(decisive(instantiate(cfg.model)), str(folder))
    checkpointer.categories = NAMES
    checkpointer.save("model_final")
    return folder


@pytest.fixture(scope="module")
def trained(folder) -> Trained:
    return load_trained(folder)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> dict[tuple[str, str], Exported]:
    """Every part in every format that computes."""
    target = tmp_path_factory.mktemp("exported")
    return {
        (part, format): export(trained, format, target / f"{part}.{format}", part=part)
        for part in ("detector", "backbone")
        for format in RUN
    }


def images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(0, 256, (3, *size), generator=generator).float() for size in SIZES]


@torch.no_grad()
def detections(model: nn.Module, image: torch.Tensor) -> list[np.ndarray]:
    found = model([{"image": image}])[0]["instances"]
    return [x.numpy() for x in (found.pred_boxes.tensor, found.scores, found.pred_classes)]


@torch.no_grad()
def run_torchscript(path: Path, image: torch.Tensor) -> list[np.ndarray]:
    return [x.numpy() for x in torch.jit.load(str(path))(image)]


def run_onnx(path: Path, image: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image.numpy()})


RUN = {"torchscript": run_torchscript, "onnx": run_onnx}


@pytest.mark.parametrize("format", RUN)
def test_a_detector_at_sizes_it_was_not_traced_at(trained, exported, format):
    """Box by box, in the order of the scores; also an image in which nothing is found."""
    counts = []
    for image in [*images(), torch.zeros(3, 64, 64)]:
        expected = detections(trained.model, image)
        got = RUN[format](exported["detector", format].path, image)
        for ours, theirs in zip(expected, got, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)
        counts.append(len(expected[0]))
    assert min(counts[:-1]) >= 3


def test_onnx_on_even_backgrounds(trained, tmp_path):
    """Where the head's ReLU is zero, the scores of many anchors are the bias, equal bit by bit."""
    model = copy.deepcopy(trained.model)
    if isinstance(model, GeneralizedRCNN):
        hidden = model.proposal_generator.rpn_head.conv
    else:
        hidden = [m for m in model.head.cls_subnet if isinstance(m, nn.Conv2d)][-1]
        with torch.no_grad():
            model.head.cls_score.weight.mul_(0.1)  # no score is rounded to 1
    nn.init.normal_(hidden.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    nn.init.constant_(hidden.bias, -4.0)
    random, files = np.random.default_rng(0), []
    for k in range(12):  # rectangles on an even ground
        height, width = random.integers(48, 120, 2)
        pixels = np.full((height, width, 3), random.integers(0, 256, 3), dtype=np.uint8)
        for _ in range(3):
            y, x = random.integers(0, height - 16), random.integers(0, width - 16)
            pixels[y : y + 16, x : x + 12] = random.integers(0, 256, 3)
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(pixels).save(files[-1])
    even = dataclasses.replace(trained, model=model)
    done = export(even, "onnx", tmp_path / "net.onnx", images=files)
    assert not done.made_up and done.comparison.images == 13
    assert done.comparison.detections >= 10 * 12


@pytest.mark.parametrize("format", RUN)
def test_the_backbone_with_any_batch_and_size(trained, exported, format):
    _, backbone = find_backbone(trained.model)
    network = StandAloneNetwork(tiny.SPACE, tiny.ARCHITECTURE).eval()
    network.load_state_dict(backbone.state_dict(), strict=True)
    generator = torch.Generator().manual_seed(3)
    for batch, size in ((1, (64, 96)), (3, (97, 131)), (2, (32, 32))):
        image = torch.rand(batch, 3, *size, generator=generator) * 255
        with torch.no_grad():
            expected = network(image)
        got = RUN[format](exported["backbone", format].path, image)
        assert list(expected) == ["res2", "res3", "res4", "res5"]
        for ours, theirs in zip(expected.values(), got, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-5, atol=1e-4)


def test_what_the_files_say_of_themselves(exported):
    extra = {"detnas.json": ""}
    torch.jit.load(str(exported["detector", "torchscript"].path), _extra_files=extra)
    said = json.loads(extra["detnas.json"])
    properties = onnx.load(exported["detector", "onnx"].path).metadata_props
    assert {p.key: json.loads(p.value) for p in properties} == said
    assert said["categories"] == NAMES and said["channels"] == "BGR"
    assert said["resize"] == {"short_edge": 72, "max_size": 96}
    assert said["architecture"] == list(tiny.ARCHITECTURE)
    assert said["outputs"] == ["boxes", "scores", "classes"]
    assert said["pixel_mean"] == [0.0] * 3 or said["pixel_std"] == [1.0] * 3


def test_a_torchscript_file_without_this_project(trained, exported):
    """In a process that can import torch and torchvision only."""
    if not isinstance(trained.model, GeneralizedRCNN):
        pytest.skip("one of them suffices, for it takes seconds")
    program = (
        "import sys\n"
        "for name in ('detnas_d2', 'detectron2', 'fvcore'): sys.modules[name] = None\n"
        "import torch, torchvision\n"
        "net = torch.jit.load(sys.argv[1])\n"
        "print([list(x.shape) for x in net(torch.full((3, 72, 96), 99.0))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-Wignore", "-c", program, exported["detector", "torchscript"].path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = detections(trained.model, torch.full((3, 72, 96), 99.0))
    assert json.loads(done.stdout) == [list(x.shape) for x in expected]


def test_state_dicts_are_plain(trained, tmp_path):
    for part, model in (("backbone", find_backbone(trained.model)[1]), ("detector", trained.model)):
        export(trained, "state_dict", tmp_path / part, part=part)
        state = torch.load(tmp_path / part, weights_only=True)
        assert tiny.same(state, dict(model.state_dict()))


@pytest.mark.parametrize(("format", "part"), [("onxx", "detector"), ("onnx", "body")])
def test_an_unknown_format_or_part(trained, tmp_path, format, part):
    with pytest.raises(ExportError, match="is '(onxx|body)'; expected one of"):
        export(trained, format, tmp_path / "net", part=part)


def test_a_file_that_computes_something_else_is_not_left(folder, tmp_path, monkeypatch, capsys):
    target = tmp_path / "net.pt"
    monkeypatch.setattr(
        "detnas_d2.export.exporting.read_torchscript",
        lambda *_: lambda image: (torch.zeros(1, 4), torch.ones(1), torch.zeros(1)),
    )
    with pytest.raises(SystemExit) as ended:
        main([str(folder), "--format", "torchscript", "--output", str(target)])
    assert "detects something else" in str(ended.value)
    assert not list(tmp_path.iterdir())


def test_what_was_compared_is_said(folder, trained, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (64, 48)).save(tmp_path / "black.png")
    command = [str(folder), "--format=torchscript", "--images", str(tmp_path / "black.png")]
    main([*command, f"--output={tmp_path}/new/net.pt"])
    said = capsys.readouterr()
    assert "checked on 2 images" in said.out and "boxes 0.0e+00" in said.out and not said.err
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["net.pt"]
    is_rcnn = isinstance(trained.model, GeneralizedRCNN)
    holder = trained.model.roi_heads.box_predictor if is_rcnn else trained.model
    monkeypatch.setattr("detnas_d2.export.__main__.load_trained", lambda *_, **__: trained)
    monkeypatch.setattr(holder, "test_score_thresh", 1.0)  # nothing is detected
    main([*command, f"--output={tmp_path}/other.pt"])
    assert "WARNING: nothing was detected on these" in capsys.readouterr().err


def test_how_a_backbone_of_any_space_is_made_again(tmp_path, capsys):
    """What the command prints does it: built-in spaces by name, others out of the config."""
    own = dataclasses.replace(tiny.SPACE, name="300m")  # but not the 300m
    for space, node in ((own, tiny.space_node(own)), (get_space("demo"), "demo")):
        out = tmp_path / space.name
        cfg = tiny.listed(tiny.retinanet(out, (0,) * space.num_blocks))
        cfg.model.backbone.bottom_up.space = node
        DetNASCheckpointer(instantiate(cfg.model), str(out)).save("model_final")
        LazyConfig.save(cfg, str(out / "config.yaml"))
        main([str(out), "--format=state_dict", "--part=backbone", f"--output={out}/b.pth"])
        printed = capsys.readouterr().out
        made = re.search(r"create_backbone\(.+\)", printed)[0]
        assert ("'demo'" in made) == (node == "demo")
        backbone = eval(made, {"create_backbone": create_backbone}).backbone
        assert backbone.space == space
        weights = torch.load(out / "b.pth", weights_only=True)
        assert all(torch.equal(weights[k], v) for k, v in backbone.state_dict().items())


def test_folders_that_hold_no_network_of_that_kind(tmp_path):
    step, no_network = tmp_path / "output/step", pytest.raises((TrainedError, ExportError))

    def refused(message, path=step, cfg=None):
        if cfg:
            LazyConfig.save(cfg, str(step / "config.yaml"))
        with no_network as raised:
            export(load_trained(path, trust=True), "torchscript", tmp_path / "net.pt")
        assert message in str(raised.value)

    refused("does not exist", tmp_path / "none")
    step.mkdir(parents=True)
    refused("no config.yaml")
    cfg = tiny.classifier(step)
    refused("Give one of the folders in it", tmp_path / "output", cfg)
    (step / "search.json").touch()
    refused("is the folder of a search")
    (step / "search.json").unlink()
    refused("holds no checkpoint")
    cfg = tiny.classifier(step, tiny.ARCHITECTURE)
    DetNASCheckpointer(instantiate(cfg.model), str(step)).save("model_0000003")
    refused("--part backbone", cfg=cfg)
    (step / "last_checkpoint").unlink()
    assert load_trained(step, trust=True).weights.name == "model_0000003.pth"


def test_a_module_of_ones_own_that_is_out_of_reach(tmp_path):
    (tmp_path / "config.yaml").write_text("model: {_target_: mylab_nowhere.blocks.Model}")
    torch.save({}, tmp_path / "model_final.pth")
    with pytest.raises(
        TrainedError, match="'mylab_nowhere(?s:.*)Modules of your own are found from"
    ):
        load_trained(tmp_path, trust=True)


def test_the_architecture_is_that_of_the_checkpoint(folder, tmp_path):
    """The search's folder, which the config names, may be gone."""
    cfg = LazyConfig.load(str(folder / "config.yaml"))
    cfg.model.backbone.bottom_up.architecture = "output/gone/best_architecture.json"
    (tmp_path / "moved").mkdir()
    LazyConfig.save(cfg, str(tmp_path / "moved" / "config.yaml"))
    (tmp_path / "moved" / "model_final.pth").write_bytes((folder / "model_final.pth").read_bytes())
    _, backbone = find_backbone(load_trained(tmp_path / "moved").model)
    assert tuple(backbone.architecture) == tiny.ARCHITECTURE
