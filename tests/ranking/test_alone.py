"""What trains candidates alone, by the configs of the repository and of a user's own data."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_images import with_tiny_data

from detnas_d2.engine import load_config
from detnas_d2.ranking import alone_steps, chain_of
from detnas_d2.space import Architecture
from detnas_d2.space_file import load_space

ROOT = Path(__file__).resolve().parents[2]
CHAINS = {
    "demo/step3_search": ["step4_classification", "step4_detection"],
    "imagenet/step3_search_cls_300m": ["step4_classification_300m", "step4_detection_fpn_300m"],
    "own_space/step3_search_mobilenet": ["step4_detection_mobilenet"],
    "custom/step3_search": ["step4_detection"],  # fine-tuning is no training alone
}


@pytest.mark.parametrize("search", CHAINS)
def test_each_goes_on_from_the_one_before(search, tmp_path):
    with with_tiny_data(ROOT / f"configs/{search}.py", str(tmp_path)) as config:
        cfg, root = load_config(str(config)), config.parents[2]
        space = load_space(str(config), trust=True)
        network = Architecture(space, [options[-1] for options in space.options])
        steps = alone_steps(chain_of(cfg, root, trust=False), network, 3, root, gpus=2)
        *trainings, test = steps
        assert [s.config.stem for s in trainings] == CHAINS[search]
        end = f"_alone/{str(network).replace(',', '-')}_seed3"
        for step in steps:
            node = step.cfg.model.backbone.get("bottom_up", step.cfg.model.backbone)
            assert list(node.architecture) == list(network)
            assert str(step.folder).endswith(end) and step.gpus == 2
            assert step.cfg.train.seed == 3
        for before, after in zip(trainings, trainings[1:], strict=False):
            assert after.reads == [before.writes]
        assert test.kind == "test" and test.reads == [trainings[-1].writes]
        assert len({s.name for s in steps}) == len(steps)
