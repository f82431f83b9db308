"""Dataclass instances in a config, and what its dump makes of them."""

from __future__ import annotations

from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from omegaconf import OmegaConf

from detnas_d2.engine import load_config
from detnas_d2.engine.config_objects import describe_objects
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice, get_space

CONFIG = """from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, UniformPathSampler, XceptionChoice
space = SearchSpace("own", 8, [Stage(12, 2), Stage(16, 1)], [ShuffleChoice(5), XceptionChoice()])
path_sampler = L(UniformPathSampler)(space=space, seed="${train.seed}")
train = dict(seed=3, spaces=[space])
"""
SPACE = SearchSpace("own", 8, (Stage(12, 2), Stage(16, 1)), (ShuffleChoice(5), XceptionChoice()))


def test_an_instance_is_what_its_node_is(tmp_path):
    file = tmp_path / "config.py"
    file.write_text(CONFIG)
    cfg = load_config(str(file))
    nodes = OmegaConf.create(
        {
            "space": L(SearchSpace)(
                name="own",
                stem_channels=8,
                stages=[
                    L(Stage)(channels=12, blocks=2, stride=2),
                    L(Stage)(channels=16, blocks=1, stride=2),
                ],
                choices=[L(ShuffleChoice)(kernel_size=5), L(XceptionChoice)()],
            )
        }
    )
    assert config_hash(cfg.path_sampler, ["space"]) == config_hash(nodes, ["space"])
    assert cfg.train.spaces[0] == cfg.path_sampler.space
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    again = load_config(str(tmp_path / "config.yaml"))
    sampler = instantiate(again.path_sampler)
    assert sampler.space == SPACE != get_space("demo") and sampler.seed == 3


def test_values_that_are_to_come_are_left_alone():
    cfg = OmegaConf.create({"missing": "???", "same": "${missing}", "list": ["${missing}", "???"]})
    describe_objects(cfg)
    assert OmegaConf.to_container(cfg) == {
        "missing": "???",
        "same": "${missing}",
        "list": ["${missing}", "???"],
    }
