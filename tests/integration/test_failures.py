"""Full and read-only disks, damaged files, a second search: a clear error, and nothing is lost."""

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

ROOT = Path(__file__).resolve().parents[2]

# of its own, where a process may mount although it is no root
IN_NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
FILLED_WHILE_SEARCHING = """
set -u
mkdir -p output/disk
mount -t tmpfs -o size=2m tmpfs output/disk
search() {{
  {script} --config-file configs/tiny/step3.py "$@" train.output_dir=output/disk
}}
search >first.txt 2>&1 &
until [ "$(wc -l <output/disk/ledger.jsonl)" -ge 4 ] || ! kill -0 $!; do sleep 0.01; done
dd if=/dev/zero of=output/disk/filler bs=1k
wait $!
echo $? >first_status.txt
cp output/disk/ledger.jsonl first.jsonl
rm output/disk/filler
search --resume >second.txt 2>&1
echo $? >second_status.txt
mkdir left
cp output/disk/* left
"""


@pytest.fixture(scope="module")
def may_mount():
    """Skips where a process of this user can't mount a tmpfs."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    mount = "mount -t tmpfs -o size=4k tmpfs /mnt"
    done = subprocess.run([*IN_NAMESPACE, mount], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")


def test_a_disk_that_fills_while_searching(workspace, searched, may_mount):
    """A real one: what was evaluated is kept, and with room again the search ends as it would."""
    script = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'search_net.py'))}"
    done = subprocess.run(
        [*IN_NAMESPACE, FILLED_WHILE_SEARCHING.format(script=script)],
        cwd=workspace.folder,
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "unshare" not in done.stderr, done.stderr
    (first, first_status), (second, second_status) = (
        [(workspace / f"{name}{end}.txt").read_text() for end in ("", "_status")]
        for name in ("first", "second")
    )
    # the ledger, or TensorBoard's file, whose writer does not name it
    path = r"(output/disk/\S+|the output folder)"
    message = rf"search_net\.py: can't write to {path}: No space left on device\..*--resume"
    assert re.search(message, first) and first_status == "1\n" and "Traceback" not in first
    kept = (workspace / "first.jsonl").read_bytes().splitlines()
    assert kept == (workspace / "left/ledger.jsonl").read_bytes().splitlines()[: len(kept)]
    assert len(kept) >= 4 and second_status == "0\n", second
    assert workspace.evaluations("left") == workspace.evaluations(searched[0])
    best = "best_architecture.json"
    assert (workspace / "left" / best).read_bytes() == (searched[0] / best).read_bytes()


@pytest.fixture
def copied(workspace, searched):
    """The override for a copy of the searched folder, and its ledger."""
    folder = workspace / "output/copied"
    shutil.copytree(searched[0], folder)
    yield "train.output_dir=output/copied", folder / "ledger.jsonl"
    shutil.rmtree(folder)


def test_a_flipped_digit_of_a_fitness(workspace, searched, copied):
    output_dir, ledger = copied
    lines = ledger.read_bytes().splitlines(keepends=True)
    place = re.search(rb'"fitness": \d+\.\d', lines[7]).end() - 1
    lines[7] = lines[7][:place] + bytes([lines[7][place] ^ 1]) + lines[7][place + 1 :]
    assert json.loads(lines[7])["fitness"] != workspace.evaluations(ledger.parent)[6]["fitness"]
    ledger.write_bytes(b"".join(lines))
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert re.match(r"search_net\.py: output/copied/ledger\.jsonl, line 8 is damaged: ", status)
    assert ledger.read_bytes() == b"".join(lines) and "Traceback" not in output

    command = re.search(r"\((sed .*)\)", status)[1]
    subprocess.run(shlex.split(command), check=True, cwd=workspace.folder)
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert status == 0, output
    whole = workspace.evaluations(searched[0])
    assert workspace.evaluations(ledger.parent) == [
        *whole[:6],
        *whole[7:],
        whole[6],
    ]  # it alone was evaluated again


def test_a_flipped_bit_of_the_header(workspace, searched, copied):
    output_dir, ledger = copied
    content = ledger.read_bytes()
    ledger.write_bytes(content.replace(b"space_fingerprint", b"space_fingerprinu", 1))
    status, _ = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert "ledger.jsonl, line 1 is not the header of a ledger, or damaged: " in status
    header = status.splitlines()[-1].encode() + b"\n"
    ledger.write_bytes(header + b"".join(ledger.read_bytes().splitlines(keepends=True)[1:]))
    assert ledger.read_bytes() == content
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert status == 0, output
    assert ledger.read_bytes() == content


@pytest.mark.parametrize("split", ["train", "val"])
def test_another_data_set_under_the_same_name(workspace, searched, split):
    """Train gives the images of the batch-norm statistics, val those of the fitness."""
    annotations = workspace / f"datasets/digits/annotations/instances_{split}.json"
    before = annotations.read_text()
    content = json.loads(before)
    content["annotations"].pop()
    annotations.write_text(json.dumps(content))
    try:
        status, _ = workspace.call("search_net.py", "step3", "--resume")
    finally:
        annotations.write_text(before)
    field = re.search(r"^  datasets: (.*) in the ledger, (.*) now$", status, re.MULTILINE)
    old, new = (re.findall(r"'(\w+)': '([0-9a-f]{16})'", text) for text in field.groups())
    assert [name for (name, x), (_, y) in zip(old, new, strict=True) if x != y] == [
        f"digits_{split}"
    ]


def test_two_searches_on_one_folder(workspace, supernet):
    """The second is refused and changes nothing, also while the first is stopped."""
    folder, output_dir = workspace / "output/two_searches", "train.output_dir=output/two_searches"
    first = workspace.search_until(2, "step3", output_dir)
    os.killpg(first.pid, signal.SIGSTOP)
    os.waitpid(first.pid, os.WUNTRACED)  # until all its threads stand still
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for flags in ((), ("--resume",)):
        status, output = workspace.call("search_net.py", "step3", *flags, output_dir)
        assert status.startswith("search_net.py: Another run writes to 'output/two_searches'")
        assert "Traceback" not in output
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
