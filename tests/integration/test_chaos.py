"""tools/chaos.py in its short form: train_net.py and search_net.py killed, resumed, compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from chaos_compare import differences

ROOT = Path(__file__).resolve().parents[2]


def test_killed_at_a_random_moment(tmp_path, monkeypatch):
    """In a process of its own: it forks scripts, and this one may have used torch."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, str(ROOT / "tools" / "chaos.py"), "--short", "--kills", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"kills": 1, "identical": True}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("weight", "loss", "left", "difference"),
    [
        (1.0 + 2**-52, 0.1, "", "model_final.pth: model: weight: torch.float64 (1,) "),
        (1.0, 0.2, "", "metrics.json: 0: "),
        (1.0, 0.1, "model_0000003.pth.tmp", "model_0000003.pth.tmp is left over"),
        (1.0, 0.1, "model_0000003.pth", "0 and 1 checkpoints of an iteration"),
    ],
)
def test_a_difference_is_seen(tmp_path, weight, loss, left, difference):
    for name, values in (("a", (1.0, 0.1)), ("b", (weight, loss))):
        (tmp_path / name).mkdir()
        model = {"weight": torch.tensor(values[:1], dtype=torch.float64)}
        torch.save({"model": model}, tmp_path / name / "model_final.pth")
        line = json.dumps({"loss": values[1], "time": len(name + left)})
        (tmp_path / name / "metrics.json").write_text(line + "\n")
    if left:
        (tmp_path / "b" / left).touch()
    (found,) = differences(tmp_path / "a", tmp_path / "b")
    assert found.startswith(difference)
