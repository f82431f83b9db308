"""The backbone as others use one: `features_only` of timm."""

from __future__ import annotations

import pytest
import tiny
import torch
from detectron2.config import LazyConfig, instantiate

from detnas_d2.engine import CheckpointError, DetNASCheckpointer
from detnas_d2.export import ExportError, TrainedError, create_backbone
from detnas_d2.modeling import StandAloneNetwork


def test_shapes_are_what_the_info_says_and_it_trains():
    torch.manual_seed(0)
    backbone = create_backbone("300m", "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2")
    outputs = backbone(torch.rand(2, 3, 64, 96))
    info = backbone.feature_info
    assert info.channels() == [64, 160, 320, 640] == [x.shape[1] for x in outputs]
    assert info.reduction() == [4, 8, 16, 32] and len(info) == 4
    assert [tuple(x.shape[2:]) for x in outputs] == [(64 // r, 96 // r) for r in info.reduction()]
    assert info.module_name() == ["res2", "res3", "res4", "res5"]
    assert backbone.training
    sum(x.mean() for x in outputs).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_the_wanted_stages_alone_and_they_alone_run():
    torch.manual_seed(0)
    backbone = create_backbone(tiny.SPACE, tiny.ARCHITECTURE, out_indices=(2, 0)).eval()
    network = StandAloneNetwork(tiny.SPACE, tiny.ARCHITECTURE).eval()
    network.load_state_dict(backbone.backbone.state_dict())
    image = torch.rand(1, 3, 40, 40)
    backbone.backbone.res5.register_forward_hook(lambda *_: pytest.fail("res5 ran"))
    first, third = backbone(image)
    expected = network(image)
    assert torch.equal(first, expected["res2"]) and torch.equal(third, expected["res4"])
    assert backbone.feature_info.channels() == [8, 16]
    assert create_backbone(tiny.SPACE, tiny.ARCHITECTURE, out_indices=[-1]).indices == [3]
    for wrong in ((4,), (-5,), ()):
        with pytest.raises(ExportError, match="0 to 3"):
            create_backbone(tiny.SPACE, tiny.ARCHITECTURE, out_indices=wrong)


def test_pretrained_by_folder_checkpoint_and_state_dict(tmp_path):
    cfg = tiny.detector(tmp_path, tiny.ARCHITECTURE)
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    detector = instantiate(cfg.model).eval()
    DetNASCheckpointer(detector, str(tmp_path)).save("model_final")
    bottom = detector.backbone.bottom_up
    torch.save(dict(bottom.state_dict()), tmp_path / "plain.pth")
    image = torch.rand(1, 3, 64, 64) * 255
    expected = list(bottom(image).values())
    arguments = [((tmp_path,), {"trust": True})]
    for name in ("model_final.pth", "plain.pth"):
        arguments.append(((tiny.SPACE, tiny.ARCHITECTURE), {"pretrained": tmp_path / name}))
    for args, options in arguments:
        backbone = create_backbone(*args, **options)
        assert not backbone.training
        assert all(map(torch.equal, backbone(image), expected))
    with pytest.raises(CheckpointError, match="other networks"):
        create_backbone(tiny.SPACE, (0, 0, 0, 0, 0), pretrained=tmp_path / "model_final.pth")


def test_a_supernet_is_refused(tmp_path):
    supernet = instantiate(tiny.classifier(tmp_path).model)
    DetNASCheckpointer(supernet, str(tmp_path)).save("model_final")
    with pytest.raises(TrainedError, match=r"is a supernet's: .*train the best"):
        create_backbone(tiny.SPACE, tiny.ARCHITECTURE, pretrained=tmp_path / "model_final.pth")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"create_backbone\(\"300m\""):
        create_backbone("300m")
    with pytest.raises(ExportError, match="leave it out"):
        create_backbone(tmp_path, "0,1")
    with pytest.raises(ValueError, match="no config file 'none'"):
        create_backbone("none", "0,1")
