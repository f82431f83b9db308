"""The table of the truth: its command, at a size of seconds."""

from __future__ import annotations

import json

import pytest

from detnas_d2.data import DigitsParameters, datasets_root
from detnas_d2.data.digits import write_digits
from projects.DetNAS.table import make_table


@pytest.fixture
def make(tmp_path, monkeypatch):
    """make(arguments) runs the command on some small images; gives the folder of the pieces."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    small = DigitsParameters(
        classes=tuple(range(10)), images=(8, 4, 4), cls_images_per_class=(1, 1)
    )
    monkeypatch.setattr(make_table, "TABLE_DIGITS", small)
    write_digits(datasets_root() / "table_digits", small)
    ours = ["--pieces", str(tmp_path / "pieces"), "--table", str(tmp_path / "table.json")]
    settings = ["--processes", "1", "train.max_iter=8"]

    def run(*arguments):
        make_table.main([*ours, *arguments, *settings])
        return tmp_path / "pieces"

    return run


def test_it_goes_on_and_is_merged(make, tmp_path, capsys):
    make("--part", "0/2", "--limit", "2")
    (piece,) = (tmp_path / "pieces").iterdir()
    with open(piece, "a") as file:
        file.write('{"architecture": [1, 1')  # a stop cut it
    make("--part", "0/2", "--limit", "2")
    make("--part", "1/2", "--limit", "2")
    assert "2/2 [" in capsys.readouterr().out
    make("--merge")
    table = json.loads((tmp_path / "table.json").read_text())
    seeds = [len(entry["AP"]) for entry in table["architectures"]]
    assert sorted(seeds) == [1, 2, 3]  # of the first seven trainings all but the sixth
    for entry in table["architectures"]:
        assert entry["flops"] > 0 and set(entry["validation_AP_at"]) == {"0.125", "0.25", "0.5"}
    assert table["statistics"]["with_several_seeds"] == 2
    assert len(json.dumps(table)) < 10_000


def test_pieces_of_another_table_are_refused(make, tmp_path):
    folder = make("--limit", "1")
    (piece,) = folder.iterdir()
    piece.write_text(piece.read_text().replace("8 iterations", "9 iterations"))
    with pytest.raises(SystemExit, match="was made by the config .* 9 iterations, this is .* 8 it"):
        make("--merge")
