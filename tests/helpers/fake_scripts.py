"""Stand-ins for train_net.py and search_net.py, for what runs them."""

from __future__ import annotations

from pathlib import Path

# Notes its arguments, fails or waits when told to, writes nothing.
_SCRIPT = """
import os, pathlib, sys, time
with open("calls.txt", "a") as f:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=f)
print("eta: 0:00:01  iter: 5")
print("a line for the console file only", flush=True)
def told(name):
    return pathlib.Path(name).exists() and pathlib.Path(name).read_text() in " ".join(sys.argv)
if told("fail"):
    sys.exit(3)
if told("wait"):
    pathlib.Path("waiting.txt").write_text(str(os.getpid()))
    time.sleep(60)
"""


def write_fake_scripts(folder: Path) -> None:
    """Both scripts into a folder that stands for the repository."""
    for script in ("train_net.py", "search_net.py"):
        (folder / script).write_text(_SCRIPT)


def calls(folder: Path) -> list[str]:
    """The command lines of the scripts so far."""
    path = folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []
