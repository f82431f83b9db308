"""Where a training starts: the keys that take a part of a checkpoint, and what a file is of."""

from __future__ import annotations

import pytest
import torch
from tiny import ARCHITECTURE, classifier, same

from detnas_d2.engine import CheckpointError, build_trainer, starting_weights
from detnas_d2.modeling import find_backbone, slice_supernet
from detnas_d2.space import Architecture, get_space


@pytest.fixture
def one_network(tmp_path):
    """A trained network's checkpoint, and its weights."""
    cfg = classifier(tmp_path / "one", ARCHITECTURE)
    cfg.train.max_iter = 1
    trainer = build_trainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    return str(tmp_path / "one/model_final.pth"), trainer.model.state_dict()


def test_one_network_into_a_supernet(one_network, tmp_path):
    file, weights = one_network
    cfg = classifier(tmp_path / "supernet")
    cfg.train.init_checkpoint = file
    cfg.train.max_iter = 2
    with pytest.raises(CheckpointError, match="unless train.init_path_only=True"):
        build_trainer(cfg).resume_or_load(resume=False)
    cfg.train.init_path_only = True
    trainer = build_trainer(cfg)
    trainer.resume_or_load(resume=False)
    prefix, backbone = find_backbone(trainer.model)
    sliced = slice_supernet(backbone.state_dict(), Architecture(backbone.space, ARCHITECTURE))
    head = {k: v for k, v in trainer.model.state_dict().items() if not k.startswith(prefix)}
    assert same({prefix + k: v for k, v in sliced.items()} | head, dict(weights))

    # a training that goes on takes all of its own checkpoint
    trainer.train()
    trained = dict(trainer.model.state_dict())
    again = build_trainer(cfg)
    again.resume_or_load(resume=True)
    assert same(dict(again.model.state_dict()), trained)


def test_backbone_only(one_network, tmp_path):
    file, weights = one_network
    cfg = classifier(tmp_path / "more", ARCHITECTURE)
    cfg.model.num_classes = 7
    cfg.train.init_checkpoint = file
    with pytest.raises(CheckpointError, match="train.init_backbone_only=True"):
        build_trainer(cfg).resume_or_load(resume=False)
    cfg.train.init_backbone_only = True
    trainer = build_trainer(cfg)
    head = trainer.model.fc.weight.clone()
    trainer.resume_or_load(resume=False)
    found = trainer.model.state_dict()
    assert all(torch.equal(found[k], weights[k]) for k in weights if k.startswith("backbone."))
    assert torch.equal(trainer.model.fc.weight, head)


SPACE = get_space("demo")
STATED = {"space": SPACE.name, "fingerprint": SPACE.fingerprint, "architecture": None}


NOT_STATED = "does not state which network it is of .*convert_weights.py"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"detnas": {**STATED, "fingerprint": "0"}}, "which is none of 300m, 1.3g"),
        # it would stand in the config, where these are calls and interpolations
        ({"detnas": {**STATED, "architecture": [{"_target_": "os.system"}]}}, NOT_STATED),
        ({"detnas": {**STATED, "architecture": "${oc.env:HOME}"}}, NOT_STATED),
        ({"model": {}}, NOT_STATED),
        ([1, 2], NOT_STATED),
        (b"no checkpoint", f"is damaged or {NOT_STATED}"),
        (None, "which is not there"),
    ],
)
def test_weights_that_cannot_be_used(tmp_path, content, message):
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(CheckpointError, match=message):
        starting_weights(str(file))
    for architecture in (None, [0, 1] * 5):
        torch.save({"model": {}, "detnas": {**STATED, "architecture": architecture}}, file)
        found = starting_weights(str(file))
        assert get_space(found.space) == SPACE and found.architecture == architecture
