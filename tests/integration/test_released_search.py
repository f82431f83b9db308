"""A search of the authors' supernet: their file, convert_weights, search_net.py."""

from __future__ import annotations

import json

import released_nets as theirs
import torch

SHAPE = (16, (32, 64, 128, 256), (2, 2, 4, 2))  # the demo space's
CONFIG = """from detectron2.config import LazyCall as L
from projects.DetNAS.paper.halves import halves_space
from .step3 import dataloader, model, search, train

model.backbone.bottom_up.space = {space}
model.proposal_generator.anchor_generator.sizes = [[32], [64], [128], [256], [512]]
search.flops_limit = None
search.algorithm.population = 4
search.algorithm.generations = 2
search.algorithm.parents = 2
search.retrain = []
train.init_checkpoint = "output/released/supernet.pth"
train.output_dir = "output/released/search"
"""


def test_a_search_of_their_supernet(workspace):
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
    for name, space in (("released", 'L(halves_space)(space="demo")'), ("even_odd", '"demo"')):
        (workspace / f"configs/tiny/{name}.py").write_text(CONFIG.format(space=space))
    convert = ("projects.DetNAS.paper.convert_weights", "theirs.pth")
    out, config = "output/released/supernet.pth", "configs/tiny/released.py"
    status, output = workspace.run(*convert, out, "--config-file", config)
    assert status == 0 and "needs" not in output, output

    # also by the config that the first one leaves: a file from elsewhere
    for file, folder in ((config, "search"), ("output/released/search/config.yaml", "again")):
        folder = f"output/released/{folder}"
        options = ("--config-file", file, f"train.output_dir={folder}")
        status, output = workspace.run("search_net.py", *options)
        assert status == 0, output
        header, *lines = map(json.loads, (workspace / folder / "ledger.jsonl").open())
        assert header["header"]["space"] == "demo-halves" and len(lines) == 8
        assert all(line["status"] == "ok" for line in lines)
    status, _ = workspace.call("search_net.py", "even_odd", "train.output_dir=output/even_odd")
    assert "'demo-halves'" in str(status) and "fingerprint" in str(status)
