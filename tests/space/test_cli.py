"""python -m detnas_d2.space: figures, config files, and what is wrong in one message."""

import json
import re

import pytest

from detnas_d2.space import Architecture, CostTable, get_space
from detnas_d2.space.__main__ import main

PUBLISHED = "2,1,2,0,2,1,1,2,3,3,1,3,0,0,3,1,3,1,3,2"

CONFIG = """
from detectron2.config import LazyCall as L
from detnas_d2.space import SearchSpace, ShuffleChoice, Stage, XceptionChoice

own = L(SearchSpace)(
    name="own",
    stem_channels=8,
    stages=[L(Stage)(channels=16, blocks=2), L(Stage)(channels=32, blocks=1)],
    choices=[L(ShuffleChoice)(kernel_size=3), L(XceptionChoice)()],
)
"""
GHOST = """
from dataclasses import dataclass
@dataclass(frozen=True)
class GhostChoice(ShuffleChoice):
    dilation: int = 2
own.choices[1] = L(GhostChoice)(dilation=3)
space = own
"""


def run(capsys, *arguments):
    main(list(arguments))
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def fails(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return caught.value.code


def rows(output):
    """{first word: (multiply-adds, parameters)} of the table."""
    lines = [line.replace(",", "").split() for line in output.splitlines()]
    return {line[0]: (int(line[1]), int(line[2])) for line in lines if "".join(line[1:3]).isdigit()}


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def config(content, name="config.py"):
        (tmp_path / name).write_text(content)
        return name

    return config


def test_published_architecture(capsys, tmp_path):
    output = run(capsys, "300m", PUBLISHED)
    path = tmp_path / "best_architecture.json"
    path.write_text(json.dumps({"space": "300m", "architecture": json.loads(f"[{PUBLISHED}]")}))
    assert run(capsys, "300m", str(path)) == output
    table = CostTable(get_space("300m"))
    a = Architecture.parse(PUBLISHED, table.space)
    expected = {name: (flops, params) for name, flops, params in table.by_stage(a)}
    assert rows(output) == {**expected, "total": (288_082_368, table.params(a))}
    for part in ("7x7 5x5 7x7 3x3", "input 224x224", "no norm, no ReLU, no classifier"):
        assert part in output


def test_input_size(capsys, config):
    path = config(CONFIG + "space = own\nsearch = dict(input_size=(96, 160))\n")
    assert "input 96x160" in run(capsys, path, "0,1,0")
    assert "input 64x64" in run(capsys, path, "0,1,0", "--input-size", "64")
    config(CONFIG + "space = own\nsearch = dict(population=3)\n")
    assert "input 224x224" in run(capsys, path, "0,1,0")
    output = run(capsys, "300m", PUBLISHED, "--input-size", "96", "161")
    table = CostTable(get_space("300m"), (96, 161))
    assert rows(output)["total"][0] == table.flops(Architecture.parse(PUBLISHED, table.space))


@pytest.mark.parametrize(
    "end",
    [
        "space = own\nmodel = dict(space='300m')",
        "model = dict(backbone=dict(space='${own}', out=['res2']))",
        "model = dict(heads=[dict(a=1), dict(bottom_up=dict(space=own, out=['res2']))])",
        "space = SearchSpace('own', 8, [Stage(16, 2), Stage(32, 1)], "
        "[ShuffleChoice(3), XceptionChoice()])\nmodel = dict(x=1)",
    ],
)
def test_spaces_of_configs(capsys, config, end):
    output = run(capsys, config(CONFIG + end), "0,1,0", "--input-size", "64")
    assert "space own, architecture 0,1,0" in output
    assert rows(output)["stem"] == (27 * 8 * 32 * 32, 29 * 8)
    assert list(rows(output)) == ["stem", "res2", "res3", "total"]
    named = config("model: {backbone: {space: 300m}}", "config.yaml")
    assert rows(run(capsys, named, PUBLISHED))["total"][0] == 288_082_368


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model = dict(a=1)", "has no key 'space', at its top or inside of 'model'"),
        ("raise KeyError('space')", "KeyError: 'space'"),
        ("space = (", "syntax error"),
        (CONFIG + "own.stem_channels = 0\nspace = own", "stem_channels is 0"),
        (CONFIG + "own.colour = 'red'\nspace = own", "unexpected keyword argument 'colour'"),
        (CONFIG + GHOST, "Not so what is defined in a config file"),
    ],
)
def test_wrong_config_files(config, content, message):
    assert re.match(f"(?s).*config.py.*{message}", fails(config(content), "0,1,0"))
