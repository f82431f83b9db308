"""LazyConfig files and overrides: what is taken, and what each refusal says."""

from __future__ import annotations

import textwrap

import pytest
from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig, instantiate
from omegaconf import OmegaConf

from detnas_d2.engine import ConfigError, load_config
from detnas_d2.engine.fingerprint import config_hash
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice, get_space

CONFIG = """
from detectron2.config import LazyCall as L
from torch import nn

train = dict(
    max_iter=10, device="cpu", output_dir="output", init_checkpoint=None,
    amp=dict(enabled=False), checkpointer=dict(period=5, max_to_keep=2),
)
own = dict(lr=0.1, names=["a", "b", "c"], missing="???", list=["${.missing}"])
model = L(nn.Linear)(in_features=3, out_features="???", bias=True)
backbone = dict(architecture="some/best_architecture.json", waiting="${nowhere.else}")
copy = dict(amp="${train.amp}", seed="${train.max_iter}")
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "step1_supernet.py").write_text(textwrap.dedent(CONFIG))
    return str(tmp_path / "step1_supernet.py")


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.max_iter=20", "own.lr=0.5", "own.lr=1"],
        ["train.device=cuda:1", "train.output_dir=/tmp/a-b_c.d/e", "train.output_dir=''"],
        ["train.amp.enabled=true", "model.bias=False"],
        ["train.init_checkpoint=model.pth", "train.init_checkpoint=null"],
        ["own.names=[x,y,z]", "backbone.architecture=other/best_architecture.json"],
        ["+own.extra=3", "+new.key.below='a b'"],
        ["train.amp={enabled: true}", "copy.seed=4"],
        ["own.lr=1e-3", "train.output_dir='\"quoted = text\"'"],
        ["model.out_features=7", "backbone.waiting=7"],  # values that wait to be set
        ["own.names=[d]", "+own.more=[1,2,3]"],  # a list replaces the list
        ["+train.cudnn_benchmark=True", "+train.float32_precision=high"],
    ],
)
def test_harmless_overrides_do_what_detectron2s_do(path, overrides):
    theirs = LazyConfig.apply_overrides(LazyConfig.load(path), overrides)
    ours = load_config(path, overrides)
    assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)


def test_what_detectron2_does_not_take(path):
    """An architecture without brackets, text that looks like a number, a number with exponent."""
    for value in ("2,1,2,0", "[2, 1, 2, 0]"):
        overrides = ["backbone.architecture=1,0", f"backbone.architecture={value}"]
        assert load_config(path, overrides).backbone.architecture == [2, 1, 2, 0]
    cfg = load_config(path, ["train.output_dir=2026", "train.device=1e3", "train.max_iter=3e2"])
    assert (cfg.train.output_dir, cfg.train.device) == ("2026", "1e3")
    assert repr(cfg.train.max_iter) == "300"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quite.another=5", "no key 'quite.another'\\. To add .*'\\+quite.another="),
        ("train.cudnn_benchmark=True", "To add .*'\\+train.cudnn_benchmark="),
        ("train.another=5", "no key 'train.another'.* docs/config.md has all keys"),
        ("+train.another=5", "no key 'train.another'.* docs/config.md has all keys"),
        ("train.checkpointer={perod: 3}", "no key 'train.checkpointer.perod'.*checkpointer.period"),
        ("train.max_iter.more=5", "'train.max_iter' holds the value 10; no key"),
        ("copy.amp.enabled=true", "'copy.amp' stands for .*train.amp.*override that key"),
        ("+train.max_iter.more=5", "'train.max_iter' holds the value 10; no key"),
        ("train.max_iter=true", "type int .*True of type bool"),
        ("train.max_iter=1,2", "type int .* of type list"),
        ("train.amp={enabled: 1}", "type bool"),
        ("train.checkpointer={period: {a: 1}}", "type int"),
        ("~own.lr", "can't be deleted; set the key to null"),
        ("~own.lr=0.1", "can't be deleted"),
        ("train.output_dir=a=b", "cannot be parsed.*quotes"),
    ],
)
def test_refused_overrides(path, override, message):
    with pytest.raises(ConfigError, match=f"(?s){message}") as info:
        load_config(path, [override])
    assert override.partition("=")[0] in str(info.value)


# files


@pytest.mark.parametrize("imported", [False, True])
def test_classes_of_config_files_are_named_once(tmp_path, imported):
    choice = (
        "from dataclasses import dataclass\nfrom detnas_d2.space import ShuffleChoice\n"
        "@dataclass(frozen=True)\nclass X(ShuffleChoice):\n    name = 'x'\n"
    )
    (tmp_path / "beside.py").write_text(choice)
    path = tmp_path / "own.py"
    path.write_text(
        ("from .beside import X\n" if imported else choice)
        + "from detectron2.config import LazyCall as L\nmodel = dict(a=[L(X)(), L(X)()])\n"
    )
    with pytest.raises(ConfigError, match=r"calls X of a config file\. Modules of your own are"):
        load_config(str(path))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("workers", "sets search.workers, .* does not have.*docs/config.md has all keys"),
        ("executor: {address: null}, address", "you mean 'search.executor.address'"),
        ("flop_limit", "sets search.flop_limit, .*Did you mean 'search.flops_limit'"),
    ],
)
def test_keys_of_a_search_of_before(tmp_path, key, message):
    """As in the config.yaml that a run of an older version has left."""
    file = tmp_path / "config.yaml"
    file.write_text(f"search: {{seed: 0, {key}: 1}}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(str(file))


# objects in a file

OBJECTS = """from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, UniformPathSampler, XceptionChoice
space = SearchSpace("own", 8, [Stage(12, 2), Stage(16, 1)], [ShuffleChoice(5), XceptionChoice()])
path_sampler = L(UniformPathSampler)(space=space, seed="${train.seed}")
train = dict(seed=3)
own = dict(spaces=[space])
"""
SPACE = SearchSpace("own", 8, (Stage(12, 2), Stage(16, 1)), (ShuffleChoice(5), XceptionChoice()))


def test_an_instance_is_what_its_node_is(tmp_path):
    file = tmp_path / "config.py"
    file.write_text(OBJECTS)
    cfg = load_config(str(file))
    stages = [L(Stage)(channels=c, blocks=b, stride=2) for c, b in ((12, 2), (16, 1))]
    choices = [L(ShuffleChoice)(kernel_size=5), L(XceptionChoice)()]
    space = L(SearchSpace)(name="own", stem_channels=8, stages=stages, choices=choices)
    nodes = OmegaConf.create({"space": space})
    assert config_hash(cfg.path_sampler, ["space"]) == config_hash(nodes, ["space"])
    assert cfg.own.spaces[0] == cfg.path_sampler.space
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    again = load_config(str(tmp_path / "config.yaml"))
    sampler = instantiate(again.path_sampler)
    assert sampler.space == SPACE != get_space("demo") and sampler.seed == 3
