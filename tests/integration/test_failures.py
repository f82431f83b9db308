"""Full and read-only disks, damaged files, a second search: a clear error, and nothing is lost."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from chaos_compare import differences

ROOT = Path(__file__).resolve().parents[2]

# Sourced in a mount namespace of its own, where a process may mount although it is no root.
PRELUDE = """
set -u
mkdir -p output/disk
mount -t tmpfs -o size=2m tmpfs output/disk
search() {{
  {python} {script} --config-file configs/tiny/step3.py "$@" train.output_dir=output/disk
}}
"""
FILLED_WHILE_SEARCHING = """
search >first.txt 2>&1 &
until [ "$(wc -l <output/disk/ledger.jsonl)" -ge 4 ] || ! kill -0 $!; do sleep 0.01; done
dd if=/dev/zero of=output/disk/filler bs=1k
wait $!
echo $? >first_status.txt
cp output/disk/ledger.jsonl first.jsonl
search --resume >second.txt 2>&1
echo $? >second_status.txt
rm output/disk/filler
search --resume >third.txt 2>&1
echo $? >third_status.txt
mkdir left
cp output/disk/* left
"""
READ_ONLY = """
cp output/step3/ledger.jsonl output/disk
mount -o remount,ro output/disk
search --resume >read_only.txt 2>&1
echo $? >read_only_status.txt
"""


def in_namespace(workspace, commands: str) -> None:
    prelude = PRELUDE.format(
        python=shlex.quote(sys.executable), script=shlex.quote(str(ROOT / "search_net.py"))
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", prelude + commands],
        cwd=workspace.folder,
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "unshare" not in done.stderr, done.stderr


@pytest.fixture(scope="module")
def may_mount():
    """Skips where a process of this user can't mount a tmpfs."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    mount = "mount -t tmpfs -o size=4k tmpfs /mnt"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")


def read(workspace, name: str) -> tuple[str, str]:
    """The exit status and what was printed."""
    text = (workspace / f"{name}.txt").read_text()
    return (workspace / f"{name}_status.txt").read_text().strip(), text


def records(ledger: Path) -> list[dict]:
    """The evaluations without their seconds."""
    lines = [json.loads(line) for line in ledger.read_bytes().splitlines()[1:]]
    return [{k: v for k, v in x.items() if k not in ("seconds", "crc32")} for x in lines]


def test_a_disk_that_fills_while_searching(workspace, searched, may_mount):
    """A real one: what was evaluated is kept, and with room again the search ends as it would."""
    in_namespace(workspace, FILLED_WHILE_SEARCHING)
    reference, _ = searched
    status, text = read(workspace, "first")
    # the ledger, or TensorBoard's file, whose writer does not name it
    path = r"(output/disk/\S+|the output folder)"
    message = rf"search_net\.py: can't write to {path}: No space left on device\..*--resume"
    assert re.search(message, text) and status == "1"
    assert "Traceback" not in text
    kept, whole = records(workspace / "first.jsonl"), records(reference / "ledger.jsonl")
    assert len(kept) >= 3 and kept == whole[: len(kept)]

    status, text = read(workspace, "second")
    assert re.search(r"search_net\.py: (.|\n)*has no room for 1 MiB \(No space left", text)
    assert status == "1" and "Traceback" not in text

    status, text = read(workspace, "third")
    assert status == "0", text
    assert list(differences(reference, workspace / "left")) == []


def test_a_read_only_disk(workspace, searched, may_mount):
    in_namespace(workspace, READ_ONLY)
    status, text = read(workspace, "read_only")
    assert re.search(r"search_net\.py: (.|\n)*'output/disk' can't be made or written to", text)
    assert status == "1" and "Traceback" not in text


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
    assert json.loads(lines[7])["fitness"] != records(ledger)[6]["fitness"]
    ledger.write_bytes(b"".join(lines))
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert re.match(r"search_net\.py: output/copied/ledger\.jsonl, line 8 is damaged: ", status)
    assert ledger.read_bytes() == b"".join(lines) and "Traceback" not in output

    command = re.search(r"\((sed .*)\)", status)[1]
    subprocess.run(shlex.split(command), check=True, cwd=workspace.folder)
    status, output = workspace.call("search_net.py", "step3", "--resume", output_dir)
    assert status == 0, output
    whole = records(searched[0] / "ledger.jsonl")
    assert records(ledger) == [*whole[:6], *whole[7:], whole[6]]  # it alone was evaluated again


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


def test_two_searches_on_one_folder(workspace, searched):
    """The second is refused and disturbs nothing, also while the first is stopped."""
    reference, _ = searched
    folder = workspace / "output/two_searches"
    first = workspace.start("search_net.py", "step3", "train.output_dir=output/two_searches")
    ledger = folder / "ledger.jsonl"
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 2:
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.002)
    os.killpg(first.pid, signal.SIGSTOP)
    os.waitpid(first.pid, os.WUNTRACED)  # until all its threads stand still
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for flags in ((), ("--resume",)):
        status, output = workspace.call(
            "search_net.py", "step3", *flags, "train.output_dir=output/two_searches"
        )
        assert status.startswith("search_net.py: Another run writes to 'output/two_searches'")
        assert "Traceback" not in output
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    os.killpg(first.pid, signal.SIGCONT)
    output, _ = first.communicate()
    assert first.returncode == 0, output
    assert list(differences(reference, folder)) == []


class Bomb:
    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


@pytest.mark.parametrize("script, step", [("train_net.py", "step4"), ("search_net.py", "step3")])
@pytest.mark.parametrize("name", ["bomb.pth", "bomb.pkl"])
def test_a_checkpoint_that_would_run_code(workspace, searched, tmp_path, script, step, name):
    """It is refused with a clear message, and nothing in it is run."""
    trace, path = tmp_path / "it ran", tmp_path / name
    content = {"model": {}, "trainer": Bomb(trace)}
    path.write_bytes(pickle.dumps(content)) if name == "bomb.pkl" else torch.save(content, path)
    output_dir = f"train.output_dir={tmp_path / 'output'}"
    status, output = workspace.call(script, step, output_dir, f"train.init_checkpoint={path}")
    assert status.startswith(f"{script}: The checkpoint {str(path)!r} ")
    assert "runs code of whoever wrote it" in status and "python -c" in status
    assert not trace.exists() and "Traceback" not in output
    torch.load(path, weights_only=False) if name == "bomb.pth" else pickle.loads(path.read_bytes())
    assert trace.exists()
