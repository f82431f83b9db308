"""YAML from elsewhere: what is read, what is refused, and that the refused would have run."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
import yaml
from detectron2.config import LazyConfig, instantiate
from detectron2.layers import ShapeSpec
from detectron2.utils.registry import locate
from hydra.utils import get_object
from omegaconf import OmegaConf
from payloads import Planted, json_bytes, yaml_texts, yaml_without_end

from detnas_d2 import trusted
from detnas_d2.engine import load_config
from detnas_d2.files import parse_json
from detnas_d2.trust import TrustError, read_config, read_yaml
from detnas_d2.trusted import ALL, MODELS, SPACES

CONFIG = {"model": {"_target_": "detnas_d2.modeling.Norm", "name": "BN"}, "train": {"seed": 3}}
KEYS = ("model", "dataloader.test.mapper", "search.algorithm")
AT_HEAD = {"RandomResize"}  # of Detectron2
FORMER = {"ShuffleNetV2", "ShuffleNetV2Supernet"}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    planted = Planted.make(tmp_path / "planted")
    monkeypatch.syspath_prepend(str(planted.folder))
    monkeypatch.chdir(planted.folder)
    return planted


def test_payloads_are_refused_and_would_have_run(planted, monkeypatch):
    for name, text in yaml_texts(planted, CONFIG, KEYS).items():
        file = planted.folder / "config.yaml"
        file.write_text(text)
        with pytest.raises((TrustError, ValueError)) as refused:
            read_config(str(file))
        assert not planted.trace.exists(), name
        message = str(refused.value)
        assert "give --trust" in message or "holds no config" in message, name
        assert message.startswith(str(file)) and message.count("\n") == 0
        monkeypatch.delitem(sys.modules, planted.module, raising=False)
        cfg = LazyConfig.load(str(file))  # Detectron2's own reading, and all that the keys name
        for key in KEYS:
            with suppress(Exception):
                instantiate(OmegaConf.select(cfg, key))
        assert planted.trace.exists(), f"{name} runs nothing: it is no payload"
        planted.trace.rmdir() if planted.trace.is_dir() else planted.trace.unlink()


def test_trust_is_the_users_own_decision(planted):
    file = planted.folder / "config.yaml"
    file.write_text(yaml.safe_dump({"model": {"_target_": f"{planted.module}.Own"}}))
    with pytest.raises(TrustError, match=rf"calls '{planted.module}.Own' \(at model\)"):
        load_config(str(file))
    instantiate(load_config(str(file), trust=True).model)
    assert planted.trace.exists()


def test_what_would_fill_the_memory(planted):
    for name, text in yaml_without_end(CONFIG).items():
        file = planted.folder / f"{name}.yaml"
        file.write_text(text)
        with pytest.raises(TrustError, match="more than 100,000 values|holds itself, or is nested"):
            read_yaml(str(file))


def test_json_is_data(planted):
    texts = json_bytes(planted)
    assert parse_json(texts.pop("a node"))["_target_"] == "os.system"
    for text in texts.values():
        with pytest.raises(ValueError):
            parse_json(text)
    assert not planted.trace.exists()


def test_the_environment_stays_here(planted, monkeypatch):
    monkeypatch.setenv("DETNAS_TEST_SECRET", "s3cret")
    file = planted.folder / "config.yaml"
    for value in ("${oc.env:DETNAS_TEST_SECRET}", "a ${${train.x}:DETNAS_TEST_SECRET} b"):
        file.write_text(yaml.safe_dump({"model": value, "train": {"x": "oc.env"}}))
        with pytest.raises(TrustError, match="may interpolate its own keys alone") as refused:
            read_config(str(file))
        assert "s3cret" not in str(refused.value)
        assert "s3cret" in LazyConfig.load(str(file)).model
    # Detectron2's instantiate takes the escape away and makes a list anew, in which it is live
    file.write_text(yaml.safe_dump({"model": [r"\${oc.env:DETNAS_TEST_SECRET}"]}))
    with pytest.raises(TrustError, match="may interpolate its own keys alone"):
        read_config(str(file))
    assert "s3cret" in instantiate(LazyConfig.load(str(file)).model)[0]
    for value in ("${train.x}", r"\${oc.env:DETNAS_TEST_SECRET}", "a: ${train.x}"):
        file.write_text(yaml.safe_dump({"model": value, "train": {"x": "oc.env"}}))
        assert "s3cret" not in read_config(str(file)).model


def test_no_cluster_is_joined(planted):
    file = planted.folder / "config.yaml"
    for address, refused in (("ray://example.invalid:10001", True), ("auto", True), (None, False)):
        file.write_text(
            yaml.safe_dump({"search": {"executor": {"workers": 1, "address": address}}})
        )
        refusal = pytest.raises(TrustError, match="search.executor.address")
        with refusal if refused else nullcontext():
            assert load_config(str(file)).search.executor.address is None
        assert load_config(str(file), trust=True).search.executor.address == address
        # to look at, not to search by
        assert read_config(str(file)).search.executor.address == address
    overridden = load_config(str(file), ["search.executor.address=auto"])
    assert overridden.search.executor.address == "auto"


def test_shapes_and_tuples_of_dumps(planted):
    """As Detectron2 0.6 and its head dump them."""
    file, name = planted.folder / "config.yaml", "detectron2.layers.shape_spec.ShapeSpec"
    file.write_text(
        f"released: !!python/object/new:{name} [256, 7, 5, null]\n"
        f"head: !!python/object:{name} {{channels: 256, height: 7, width: 5, stride: null}}\n"
        "pair: !!python/tuple [1, 2]\n"
    )
    cfg = read_config(str(file))
    for key in ("released", "head"):
        assert instantiate(cfg[key]) == ShapeSpec(channels=256, height=7, width=5)
    assert cfg.pair == [1, 2]


def test_names_are_taken_letter_by_letter():
    assert "detectron2.modeling.FPN" in MODELS
    assert "detectron2.modeling.backbone.fpn.FPN" in MODELS
    assert "detnas_d2.space.Stage" in SPACES
    for name in (
        *("detectron2.modeling.FPN ", "detectron2.modeling..FPN", "FPN", "planted.FPN", ""),
        "detectron2.modeling.backbone.fpn.FPN.__init__",
    ):
        assert name not in ALL


def test_the_list_names_what_there_is():
    """Each by the module that defines it, so that no name leads to something else."""
    lines = re.findall(r'^ +"(\w+\.[\w.]+) ([\w. ]+)",$', Path(trusted.__file__).read_text(), re.M)
    found = [(module, name) for module, names in lines for name in names.split()]
    assert len(found) > 60
    for module, name in found:
        if name not in AT_HEAD | FORMER:
            thing = get_object(f"{module}.{name}")
            assert (thing.__module__, thing.__qualname__) == (module, name)
            assert locate(f"{module}.{name}") is thing
    shortest = {name: module.split(".")[0] for module, name in found}
    assert all(f"{package}.{name}" in ALL for name, package in shortest.items())


def test_the_networks_former_names_are_read(tmp_path):
    file = tmp_path / "config.yaml"
    for name, call in (("ShuffleNetV2Supernet", {}), ("ShuffleNetV2", {"architecture": [0] * 10})):
        node = {"_target_": f"detnas_d2.modeling.{name}", "space": "demo", **call}
        file.write_text(yaml.safe_dump({"model": node}))
        assert instantiate(read_config(str(file)).model).space.name == "demo"
