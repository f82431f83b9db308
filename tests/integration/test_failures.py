"""A full disk, other data, a second search, Ctrl-C: a clear error, nothing is lost.

Damaged ledgers are in tests/search/test_ledger.py, checkpoints in tests/engine/test_checkpoint.py.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from chaos_compare import differences

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own, where a process may mount although it is no root.
ON_A_SMALL_DISK = """
set -u
mkdir -p output/disk kept left
mount -t tmpfs -o size=2m tmpfs output/disk
search() {{
  {script} --config-file configs/tiny/step3.py "$@" train.output_dir=output/disk
}}
search >full.txt 2>&1 &
until [ "$(wc -l <output/disk/ledger.jsonl)" -ge 4 ] || ! kill -0 $!; do sleep 0.01; done
dd if=/dev/zero of=output/disk/filler bs=1k
wait $!
echo $? >>full.txt
cp output/disk/ledger.jsonl kept
rm output/disk/filler
search --resume
echo $? >room_again.txt
cp output/disk/* left
"""


def test_a_disk_that_fills_while_searching(workspace, searched):
    """A real one: what was evaluated is kept, and with room again the search ends as it would."""
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = [*namespace, "mount -t tmpfs -o size=4k tmpfs /mnt"]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tmpfs can't be mounted here")
    script = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'search_net.py'))}"
    done = subprocess.run(
        [*namespace, ON_A_SMALL_DISK.format(script=script)],
        cwd=workspace.folder,
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    text = (workspace / "full.txt").read_text()
    message = r"search_net\.py: can't write to output/disk/\S+: No space left on device\..*--resume"
    assert re.search(message, text) and text.endswith("\n1\n") and "Traceback" not in text
    ledger = workspace / "kept/ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().rpartition(b"\n")[0])  # the last line may be torn
    kept, whole = workspace.evaluations("kept"), workspace.evaluations("output/step3")
    assert len(kept) >= 3 and kept == whole[: len(kept)]
    assert (workspace / "room_again.txt").read_text() == "0\n", done.stdout + done.stderr
    assert list(differences(searched[0], workspace / "left")) == []


def test_other_data_sets_under_the_same_names(workspace, searched):
    """Train gives the images of the batch-norm statistics, val those of the fitness."""
    names = ("train", "val")
    files = [workspace / f"datasets/digits/annotations/instances_{name}.json" for name in names]
    before = [file.read_text() for file in files]
    for file, text in zip(files, before, strict=True):
        content = json.loads(text)
        content["annotations"].pop()
        file.write_text(json.dumps(content))
    try:
        status, _ = workspace.call("search_net.py", "step3", "--resume")
    finally:
        for file, text in zip(files, before, strict=True):
            file.write_text(text)
    field = re.search(r"^  datasets: (.*) in the ledger, (.*) now$", status, re.MULTILINE)
    old, new = (dict(re.findall(r"'(\w+)': '([0-9a-f]{16})'", text)) for text in field.groups())
    assert [name for name in old if old[name] != new[name]] == ["digits_train", "digits_val"]


def test_a_second_search_and_ctrl_c(workspace, searched):
    """The second is refused and disturbs nothing; the first is stopped, and says how to go on."""
    folder, output_dir = workspace / "output/twice", "train.output_dir=output/twice"
    first = workspace.search_until(2, "step3", output_dir)
    os.killpg(first.pid, signal.SIGSTOP)
    os.waitpid(first.pid, os.WUNTRACED)  # until all its threads stand still
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for flags in ((), ("--resume",)):
        status, output = workspace.call("search_net.py", "step3", *flags, output_dir)
        assert status.startswith("search_net.py: Another run writes to 'output/twice'")
        assert "Traceback" not in output
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    os.killpg(first.pid, signal.SIGCONT)
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 130 and "Traceback" not in output, output
    last = output.rstrip().splitlines()[-1]
    assert last.startswith("search_net.py: stopped; candidates in") and "--resume" in last
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert status == 0, output
    assert list(differences(searched[0], folder)) == []
