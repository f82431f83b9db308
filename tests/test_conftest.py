"""What tests/conftest.py sets for all tests and for the processes that they start."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parent / "conftest.py"
PROGRAM = """
import runpy, signal, subprocess, sys
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
runpy.run_path(sys.argv[1])
show = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
exec(show)
print(subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout)
"""


def test_tests_in_the_background_get_their_ctrl_c():
    """As in `make test &` in a script: SIGINT is ignored at first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(CONFTEST)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["True", "True", "True"], done.stdout + done.stderr
