"""A search of the authors' supernet: their file, tools/convert_weights.py, search_net.py."""

from __future__ import annotations

import json

import pytest
import released_nets as theirs
import torch

SHAPE = (16, (32, 64, 128, 256), (2, 2, 4, 2))  # the demo space's
CONFIG = """from .step3 import dataloader, model, search, train

model.backbone.bottom_up.space = "demo"
model.proposal_generator.anchor_generator.sizes = [[32], [64], [128], [256], [512]]
search.flops_limit = None
search.algorithm.population = 4
search.algorithm.generations = 2
search.algorithm.parents = 2
search.retrain = ["configs/tiny/released_step4.py"]
train.init_checkpoint = "output/released/supernet.pth"
train.output_dir = "output/released"
"""
STEP4 = """from .released import model
from .step4 import dataloader, lr_multiplier, optimizer, train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/released/best_architecture.json"
train.init_checkpoint = "output/released/supernet.pth"
train.output_dir = "output/released_step4"
"""


@pytest.fixture(scope="module")
def released(workspace):
    """Their file and the configs; returns the command that converts, less overrides."""
    net, x = theirs.Weights(), torch.rand(1, 3, 64, 64, dtype=torch.float64)
    for choice in range(4):
        features = theirs.body(net, x, SHAPE, [choice] * 10, "backbone.", supernet=True)
        features = theirs.fpn(net, features, 8, norm=True, p6p7=False, prefix="fpn.")
        theirs.rpn(net, features)
        theirs.box_head(net, torch.rand(1, 8, 7, 7, dtype=torch.float64), 8, 16, 2)
    for name in ("rpn.head.bbox_pred", "roi_heads.box.predictor.bbox_pred"):  # boxes like anchors
        net.state[f"{name}.weight"] *= 0.01
        net.state[f"{name}.bias"] *= 0.01
    net.state["roi_heads.box.predictor.cls_score.bias"][0] -= 9  # background: much is detected
    state = {f"module.{k}": v.float() if v.is_floating_point() else v for k, v in net.state.items()}
    torch.save({"model": state, "optimizer": {}, "iteration": 90000}, workspace / "theirs.pth")
    for name, text in (("released", CONFIG), ("released_step4", STEP4)):
        (workspace / f"configs/tiny/{name}.py").write_text(text)
    convert = ("tools/convert_weights.py", "theirs.pth", "output/released/supernet.pth")
    return (*convert, "--config-file", "configs/tiny/released.py")


def test_search_and_retraining(workspace, released):
    status, output = workspace.run(*released)
    assert status == 0, output
    space = "model.backbone.bottom_up.space=demo-halves"
    assert f"a config that loads it needs: {space}" in output

    status, output = workspace.call("search_net.py", "released", space)
    assert status == 0, output
    header, *lines = map(json.loads, (workspace / "output/released/ledger.jsonl").open())
    assert header["header"]["space"] == "demo-halves" and len(lines) == 8
    assert all(line["status"] == "ok" for line in lines)
    assert space in output.partition("To retrain it:")[2]

    # the file of the best, and the path of the supernet that it names
    status, output = workspace.call("train_net.py", "released_step4", space)
    assert status == 0, output
    status, output = workspace.call("train_net.py", "released_step4")
    assert "space 'demo-halves'; take the space that it was searched in" in str(status)


def test_a_search_of_the_other_shuffle_is_refused(workspace, released):
    assert workspace.run(*released)[0] == 0
    status, _ = workspace.call("search_net.py", "released", "train.output_dir=output/even_odd")
    assert "'demo-halves'" in str(status) and "fingerprint" in str(status)
