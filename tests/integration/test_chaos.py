"""tools/chaos.py in its short form: train_net.py and search_net.py killed, resumed, compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5


def test_killed_at_random_moments(tmp_path, monkeypatch):
    """In a process of its own: it forks scripts, and this one may have used torch."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, str(ROOT / "tools" / "chaos.py"), "--short", "--kills", str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"kills": KILLS, "identical": True}
    assert f"{KILLS} of {KILLS} kills survived" in done.stdout
    assert list(tmp_path.iterdir()) == []
