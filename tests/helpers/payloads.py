"""What a stranger may plant in a folder: each touches a file where it is run."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from detectron2.data import DatasetCatalog

from detnas_d2.modeling import get_cfg

DATA_SET = "planted_data_set"  # of one image


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.trace, "w")


@dataclass(frozen=True)
class Planted:
    """A folder with files to which a payload may lead, and the file that tells it ran."""

    folder: Path
    trace: Path
    module: str = "planted_module"

    @classmethod
    def make(cls, folder: Path) -> Planted:
        folder.mkdir()
        planted = cls(folder, folder / "it_ran")
        program = (
            "from dataclasses import dataclass\nfrom detnas_d2.space import ShuffleChoice\n"
            f"open({str(planted.trace)!r}, 'w').close()\n"
            "@dataclass(frozen=True)\nclass Own(ShuffleChoice): pass\n"
            "space = model = train = search = {}\n"
        )
        (folder / f"{planted.module}.py").write_text(program)
        (folder / "bomb.pkl").write_bytes(pickle.dumps(Bomb(planted.trace)))
        torch.save({"model": Bomb(planted.trace)}, folder / "bomb.pth")
        sys.modules.pop(planted.module, None)  # of another folder
        if DATA_SET not in DatasetCatalog:
            DatasetCatalog.register(DATA_SET, lambda: [{"file_name": "none", "image_id": 0}])
        return planted

    def file(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def program(self) -> str:
        return self.file(f"{self.module}.py")


def targets(p: Planted) -> dict[str, Any]:
    """Nodes that run something when they are made."""
    touch = {"_target_": "os.system", "command": f"touch {p.trace}"}
    yacs = get_cfg()
    yacs.MODEL.BACKBONE.NAME, yacs.MODEL.DETNAS.ARCHITECTURE = "build_detnas_backbone", "0,1"
    yacs.MODEL.DETNAS.SPACE = p.program
    return {
        "os": touch,
        "a made target": {**touch, "_target_": {"_target_": "pydoc.locate", "path": "os.system"}},
        "a module of the folder": {"_target_": f"{p.module}.Own"},
        "our config": {"_target_": "detnas_d2.engine.load_config", "path": p.program},
        "proposals": {
            "_target_": "detectron2.data.get_detection_dataset_dicts",
            "names": [DATA_SET],
            "proposal_files": [p.file("bomb.pkl")],
        },
        "yacs in a node": {
            "_target_": "detectron2.modeling.GeneralizedRCNN",
            "cfg": yaml.safe_load(yacs.dump()),
        },
        "in a list": {"_target_": "detectron2.modeling.FPN", "bottom_up": [{**touch}]},
        "in one that may be": {"_target_": "detnas_d2.modeling.Norm", "name": touch},
    }


def yaml_texts(p: Planted, config: dict[str, Any], keys: Sequence[str]) -> dict[str, str]:
    """Of a harmless config, texts that run something: as they are read, or at a key, once made."""
    places = itertools.cycle(keys)
    tag = f"!!python/object/apply:os.system ['touch {p.trace}']"
    shape = "!!python/object/new:detectron2.layers.shape_spec.ShapeSpec"
    tags = {
        "a tag": f"x: {tag}",
        "a tag in a key": f"? {tag}\n: 1",
        "a tag in one that may be": f"x: !!python/tuple [1, {tag}]",
        "a tag in a shape": f"x: {shape} [{tag}, 1, 1, 1]",
        "a name": f"x: !!python/name:{p.module}.Own ''",
        "a module": f"x: !!python/module:{p.module} ''",
    }
    text = yaml.safe_dump(config)
    texts = {name: f"{text}\n{tag}\n" for name, tag in tags.items()}
    nodes = targets(p)
    for name, node in nodes.items():
        texts[name] = yaml.safe_dump(changed(config, next(places), node))
    made, touch = f"{{_target_: os.system, command: 'touch {p.trace}'}}", nodes["os"]
    evil = changed(config, "evil", {"node": touch, "target": "os.system", "name": "oc.create"})
    for name, value in {
        "an interpolated node": "${evil.node}",
        "an interpolated target": {**touch, "_target_": "${evil.target}"},
        "a created node": f"${{oc.create:{made}}}",
        "a created node by another name": f"${{${{evil.name}}:{made}}}",
        "a decoded node": f"${{oc.decode:{json.dumps(made)}}}",
    }.items():
        texts[name] = yaml.safe_dump(changed(evil, next(places), value))
    texts["a text of YAML"] = yaml.safe_dump(yaml.safe_dump(changed(config, keys[0], touch)))
    return texts


def yaml_without_end(config: dict[str, Any]) -> dict[str, str]:
    """LazyConfigs that would fill the memory."""
    text = yaml.safe_dump(config)
    levels = "".join(
        f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" if i else "x0: &x0 [1]\n"
        for i in range(12)
    )
    return {
        "aliases": f"{text}\n{levels}",
        "itself": f"{text}\nx: &x [*x]\n",
        "depth": f"{text}\nx: {'[' * 3000}{']' * 3000}\n",
    }


def changed(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a dotted key, whose parents are made."""
    node = copy.deepcopy(config)
    *parents, last = key.split(".")
    at = node
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value
    return node


def json_bytes(p: Planted) -> dict[str, bytes]:
    """What stands in the place of a JSON file."""
    return {
        "lists": b"[" * 100_000,
        "a node": b'{"_target_": "os.system", "command": "touch %s"}\n' % bytes(p.trace),
        "Python": b"__import__('os').system('touch %s')\n" % bytes(p.trace),
        "a number": b"[1%s]\n" % (b"0" * 5000),
        "no text": b"\xff\xfe",
    }


def entities(secret: Path) -> dict[str, str]:
    """XML whose entities read another file, or fill the memory."""
    many = "".join(f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 12))
    return {
        "another file": f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "file://{secret}">]>',
        "a parameter": f'<!DOCTYPE annotation [<!ENTITY % x SYSTEM "file://{secret}"> %x;]>',
        "laughs": f'<!DOCTYPE annotation [<!ENTITY x0 "ha">{many}<!ENTITY x "&x11;">]>',
    }
