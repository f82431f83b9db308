"""The commands that train what a search found."""

from __future__ import annotations

from pathlib import Path

import pytest

from detnas_d2.driver import retrainings
from detnas_d2.driver.retraining import Retraining
from detnas_d2.engine import load_config

ROOT = Path(__file__).resolve().parents[2]
SEARCH = str(ROOT / "configs/coco/step3_search_fpn_300m.py")


@pytest.mark.parametrize("space", ["300m", "1.3g"])
def test_the_space_that_was_searched_is_retrained(space, monkeypatch):
    """Typed after a search of another space than its config's, else the file of the best is of
    another space than the retraining's and refused."""
    monkeypatch.chdir(ROOT)
    cfg = load_config(SEARCH, [f"model.backbone.bottom_up.space={space}"])
    commands = [step.command("BEST").split() for step in retrainings(cfg, str(ROOT))]
    assert len(commands) == len(cfg.search.retrain) == 2
    for command, backbone in zip(commands, ("backbone", "backbone.bottom_up"), strict=True):
        assert f"model.{backbone}.architecture=BEST" in command
        changed = [word for word in command if ".space=" in word]
        assert changed == ([] if space == "300m" else [f"model.{backbone}.space={space}"])
        step = load_config(command[3], [w.replace("BEST", "0," * 19 + "0") for w in command[4:]])
        node = step.model.backbone.get("bottom_up", step.model.backbone)
        assert node.space == space
    cfg.search.retrain = []
    (step,) = retrainings(cfg, str(ROOT))
    assert "model.backbone.bottom_up.architecture=BEST" in step.command("BEST")


def test_any_name_of_a_folder_is_read_back():
    folder = "output/Zähler (a, b) & 'c'"
    file = str(ROOT / "configs/demo/step4_detection.py")
    step = Retraining(file, "model.backbone.bottom_up", folder, f"{folder}/model_final.pth")
    cfg = load_config(file, step.overrides(f"{folder}/best.json", "_x"))
    assert cfg.model.backbone.bottom_up.architecture == f"{folder}/best.json"
    assert cfg.train.output_dir == f"{folder}_x"
    assert cfg.train.init_checkpoint == f"{folder}_x/model_final.pth"
