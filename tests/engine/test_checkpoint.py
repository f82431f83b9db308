"""Checkpoints are whole or absent, and load entirely or not at all."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal

import numpy as np
import pytest
import tiny
import torch
from detectron2.config import instantiate
from detectron2.engine import HookBase
from detectron2.modeling import FPN
from detectron2.modeling.backbone import BasicStem, ResNet
from payloads import Bomb
from torch import nn

from detnas_d2.engine import CheckpointError, DetNASCheckpointer, build_trainer
from projects.DetNAS.paper.detnet import DetNet, DetNetFPN


def model(architecture=None, space=tiny.SPACE, seed=0):
    torch.manual_seed(seed)
    cfg = tiny.classifier("unused", architecture)
    cfg.model.backbone.space = tiny.space_node(space)
    return instantiate(cfg.model)


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.fixture
def saved(tmp_path):
    """A folder with one checkpoint of a supernet."""
    DetNASCheckpointer(model(), str(tmp_path)).save("first")
    return tmp_path


@pytest.mark.parametrize("architecture", [None, tiny.ARCHITECTURE])
def test_a_checkpoint_says_what_it_is_and_needs_no_pickle(tmp_path, architecture):
    DetNASCheckpointer(model(architecture), str(tmp_path)).save("first")
    checkpoint = torch.load(tmp_path / "first.pth", weights_only=True)
    said = {"space": "tiny", "fingerprint": tiny.SPACE.fingerprint}
    choices = architecture and list(architecture)
    assert checkpoint["detnas"] == {**said, "architecture": choices}
    assert (tmp_path / "last_checkpoint").read_text() == "first.pth"
    assert tiny.same(checkpoint["model"], model(architecture).state_dict())


@pytest.mark.parametrize("room", [0, 30000])
def test_a_full_disk_leaves_the_last_checkpoint(saved, room):
    before = (saved / "first.pth").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(CheckpointError, match=r"first\.pth' could not be written.*--resume"):
            DetNASCheckpointer(model(seed=1), str(saved)).save("first")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(p.name for p in saved.iterdir()) == ["first.pth", "last_checkpoint"]
    assert (saved / "last_checkpoint").read_text() == "first.pth"
    assert (saved / "first.pth").read_bytes() == before


def test_killed_while_saving(tmp_path, monkeypatch):
    run = os.fork()
    if run == 0:  # a training, killed half-way through its second checkpoint
        save, saved = torch.save, []

        def killed(data, file):
            saved.append(save(data, file))
            if len(saved) == 2:
                file.flush()
                file.truncate(file.tell() // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            monkeypatch.setattr(torch, "save", killed)
            build_trainer(tiny.classifier(tmp_path)).train()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(run, 0)[1]) == signal.SIGKILL
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000002.pth"
    assert not (tmp_path / "model_0000005.pth").exists()
    trainer = build_trainer(tiny.classifier(tmp_path))
    trainer.resume_or_load(resume=True)
    assert trainer.start_iter == 3


# loading


def refused(target, path, match):
    before = weights(target)
    with pytest.raises(CheckpointError, match=match):
        DetNASCheckpointer(target).load(str(path))
    assert tiny.same(weights(target), before)


def test_another_network_is_refused(saved):
    refused(model(space=tiny.OTHER), saved / "first.pth", "space 'tiny'.*space 'other'")
    DetNASCheckpointer(model(tiny.ARCHITECTURE), str(saved)).save("fixed")
    refused(model((0, 0, 0, 0, 0)), saved / "fixed.pth", "architecture 2,0,1,2,0")
    refused(model(), saved / "fixed.pth", "takes a supernet's weights only")


def test_what_is_damaged_or_no_checkpoint_is_refused(saved):
    path, target = saved / "first.pth", model(seed=1)
    whole, checkpointer = path.read_bytes(), DetNASCheckpointer(target)
    damaged = r"(?s)first\.pth' could not be loaded.*truncated"
    for data in (whole[: len(whole) // 2], b"", b"no checkpoint", whole[:-1000] + bytes(1000)):
        path.write_bytes(data)
        refused(target, path, damaged)
        with pytest.raises(CheckpointError):
            checkpointer.load(str(path))
    for content in (5, [1, 2], {"model": 3}, {"model": {"a": 1}}, {}):
        torch.save(content, path)
        refused(target, path, "checkpoint")
    path.write_bytes(whole)
    checkpointer.load(str(path))  # a failure leaves nothing behind
    assert tiny.same(weights(target), weights(model()))


# backbones that are none of ours


class Detector(nn.Module):
    """The part of a detector that matters here: an FPN at `backbone`, and a head."""

    def __init__(self, fpn):
        super().__init__()
        self.backbone = fpn
        self.head = nn.Linear(8, 4)


def resnet_detector(seed=0):
    torch.manual_seed(seed)
    stages = ResNet.make_default_stages(50, norm="FrozenBN", stride_in_1x1=True)
    bottom_up = ResNet(BasicStem(norm="FrozenBN"), stages, out_features=["res4", "res5"])
    return Detector(FPN(bottom_up, ["res4", "res5"], 8))


def detnet_detector():
    return Detector(DetNetFPN(DetNet(norm="BN"), out_channels=8))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """zoo(name) -> an address of Detectron2's model zoo and its file in this test's cache."""
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))

    def place(name):
        # downloads are remembered by address in the process
        name = f"{tmp_path.name}/{name}"
        path = tmp_path / "cache" / "detectron2" / name
        path.parent.mkdir(parents=True)
        return f"detectron2://{name}", path

    return place


def msra_pickle(path, stages=(3, 4, 6, 3)):
    """A file with the names of Detectron2's ImageNet R-50.pkl, and the values under ours."""
    names = {"stem.conv1": ("conv1", "res_conv1_bn")}
    for stage, blocks in enumerate(stages, start=2):
        for block in range(blocks):
            branches = {"conv1": "2a", "conv2": "2b", "conv3": "2c"}
            branches.update({"shortcut": "1"} if block == 0 else {})
            for layer, branch in branches.items():
                theirs = f"res{stage}_{block}_branch{branch}"
                names[f"res{stage}.{block}.{layer}"] = (theirs, f"{theirs}_bn")
    shapes = resnet_detector().backbone.bottom_up.state_dict()
    blobs, values = {}, {}
    for ours, (conv, norm) in names.items():
        for key, blob in (("weight", f"{conv}_w"), ("norm.weight", f"{norm}_s")):
            values[f"{ours}.{key}"] = torch.randn(shapes[f"{ours}.{key}"].shape)
            blobs[blob] = values[f"{ours}.{key}"].numpy()
        values[f"{ours}.norm.bias"] = torch.randn(shapes[f"{ours}.norm.bias"].shape)
        blobs[f"{norm}_b"] = values[f"{ours}.norm.bias"].numpy()
    blobs.update(fc1000_w=np.zeros((1000, 2048), "float32"), fc1000_b=np.zeros(1000, "float32"))
    path.write_bytes(pickle.dumps(blobs))
    return values


def test_imagenet_weights_of_resnet50_load_by_names_alike(zoo, caplog, tmp_path):
    """From Detectron2's address as they are; from elsewhere after the conversion that is named."""
    address, path = zoo("R-50.pkl")
    values = msra_pickle(path)
    detector = resnet_detector()
    before = weights(detector)
    with caplog.at_level("WARNING"):
        DetNASCheckpointer(detector).load(address)
    after = weights(detector)
    loaded = {f"backbone.bottom_up.{k}": v for k, v in values.items()}
    assert tiny.same({k: after[k] for k in loaded}, loaded)
    assert {k for k, _ in detector.backbone.bottom_up.named_parameters()} <= set(values)
    rest = [k for k in after if not k.startswith("backbone.bottom_up.")]
    assert tiny.same({k: after[k] for k in rest}, {k: before[k] for k in rest})
    assert "backbone.fpn_lateral4" in caplog.text and "head" in caplog.text  # what is not in it
    torch.save({"model": after, "best": np.float64(0.3)}, tmp_path / "R-50.pth")
    for file in (path, tmp_path / "R-50.pth"):
        other = resnet_detector(1)
        with pytest.raises(CheckpointError, match="If you trust it") as caught:
            DetNASCheckpointer(other).load(str(file))
        code = str(caught.value).partition('python -c "')[2].removesuffix('"')
        exec(code.replace("IN", str(file)).replace("OUT", str(tmp_path / "new")), {})
        DetNASCheckpointer(other).load(str(tmp_path / "new.pth"))
        assert tiny.same({k: weights(other)[k] for k in loaded}, loaded)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: instantiate(tiny.detector("").model), "holds none"),
        (DetNet, r"holds none of the 189 parameters.*bottom_up"),  # a bare network
    ],
    ids=["supernet", "bare"],
)
def test_what_would_leave_the_backbone_as_it_was_is_refused(tmp_path, make, message):
    DetNASCheckpointer(make(), str(tmp_path)).save("source")
    with pytest.raises(CheckpointError, match=message):
        DetNASCheckpointer(detnet_detector()).load(str(tmp_path / "source.pth"), checkpointables=[])


# files from elsewhere


@pytest.mark.parametrize("name", ["a.pth", "legacy.pth", "plain.pth", "a.pkl"])
def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path, monkeypatch, name):
    # an environment of someone who had to load old files
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, trace = tmp_path / name, tmp_path / "it ran"
    content = {"model": Bomb(trace), "__author__": "x"}
    if name in ("plain.pth", "a.pkl"):
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=name != "legacy.pth")
    match = r"(?s)runs code of whoever wrote it.*If you trust it.*python -c"
    for target in (model(), resnet_detector()):
        refused(target, path, match)
    assert not trace.exists()
    if name == "a.pth":
        torch.load(path, weights_only=False)
        assert trace.exists()  # the bomb is one


def test_a_pickle_of_another_address_is_not_even_fetched(zoo, monkeypatch):
    """iopath would keep it by its path alone, where it later looks for the zoo's file."""
    address, _ = zoo("R-50.pkl")
    fetched = []
    monkeypatch.setattr("iopath.common.file_io.download", lambda *args, **kwargs: fetched.append(1))
    place = address.removeprefix("detectron2://").removesuffix("R-50.pkl")
    start = "https://example.invalid/detectron2/"
    for end in ("R-50.pkl", "R-50.pkl?matching_heuristics=True", "R-50.pyth#x"):
        refused(model(), f"{start}{place}{end}", "runs code of whoever wrote it")
    assert fetched == []
    with contextlib.suppress(CheckpointError):
        DetNASCheckpointer(model()).load(f"{start}{place}R-50.pth")
    assert fetched == [1]


def test_a_new_run_in_an_old_folder_keeps_its_own_checkpoints(tmp_path):
    cfg = tiny.classifier(tmp_path)
    cfg.train.checkpointer = {"period": 2, "max_to_keep": 2}
    cfg.train.max_iter = 4
    build_trainer(cfg).train()  # leaves 1 and 3
    trainer = build_trainer(cfg)

    class Fail(HookBase):
        def before_step(self):
            if self.trainer.iter == 2:
                raise ZeroDivisionError

    trainer.register_hooks([Fail()])
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    # its own 1 is not the surplus of 1, 3 and 1
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000001.pth"
    assert (tmp_path / "model_0000001.pth").exists()
