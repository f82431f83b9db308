"""What real users get wrong: each ends with what, where and what to do, and harms nothing.

Of every case is checked: an exit status that is not 0, within 10 seconds, no traceback, all parts
of the message, and that every file that was there is byte for byte the same. Nor may a file
appear, except in the output folder of a run that had rightly begun (`begun`): its log and what
belongs to it. Most cases run the real scripts in this process, to save the seconds of a start.
"""

from __future__ import annotations

import re
import shlex
import socket
import time
from pathlib import Path

import pytest
import wrong_afterwards
import wrong_data
import wrong_networks
import wrong_settings
from detectron2.data import DatasetCatalog
from wrong_inputs import Wrong, copy_workspace, snapshot

from detnas_d2.data import unregister_dataset

ROOT = Path(__file__).resolve().parents[2]
CASES = [
    pytest.param(case, id=f"{module.__name__.removeprefix('wrong_')}: {case.command}")
    for module in (wrong_settings, wrong_networks, wrong_data, wrong_afterwards)
    for case in module.CASES
]
SECONDS = 10
RUN_FILES = re.compile(
    r"output/(new|n|step2)/(log\.txt(\.rank\d+)?|config\.yaml|search\.json|\.lock|metrics\.json"
    r"|ledger\.jsonl|events\.out\..*)"
)
"""What a run that has begun may leave; only the log of a folder that was there may grow."""


@pytest.fixture(scope="module")
def trained(workspace, searched):
    """The workspace with all its steps done."""
    status, output = workspace.call("train_net.py", "step4")
    assert status == 0, output
    return workspace


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the workspace; whatever is registered in it is taken back."""
    before = set(DatasetCatalog.list())
    copy_workspace(trained.folder, tmp_path / "w")
    (tmp_path / "w" / "projects").symlink_to(ROOT / "projects")
    yield type(trained)(tmp_path / "w")
    for name in set(DatasetCatalog.list()) - before:
        unregister_dataset(name)


def arguments(command: str) -> list[str]:
    """`@step2` stands for the config of that step."""
    found: list[str] = []
    for word in shlex.split(command):
        is_step = word.startswith("@")
        found += ["--config-file", f"configs/tiny/{word[1:]}.py"] if is_step else [word]
    return found


def files(folder: Path) -> dict[str, str]:
    return {
        f"{part}/{name}": content
        for part in ("configs", "datasets", "output", ".")
        for name, content in snapshot(folder / part, deep=part != ".").items()
    }


def check_files(case: Wrong, before: dict[str, str], after: dict[str, str]) -> None:
    appeared = after.keys() - before.keys()
    changed = {name for name in before if after.get(name) != before[name]}
    if case.begun:
        appeared = {name for name in appeared if not RUN_FILES.fullmatch(name)}
        changed = {name for name in changed if not name.endswith("/log.txt")}
    assert not appeared and not changed


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_input(copied, case):
    case.prepare(copied.folder)
    before = files(copied.folder)
    start = time.monotonic()
    status, output = copied.run(*arguments(case.command))
    assert time.monotonic() - start < SECONDS
    text = f"{output}\n{status}"
    assert status != 0, f"it was accepted:\n{text}"
    assert "Traceback" not in text and "not foreseen" not in text
    # the message is what the script ends with, or argparse's, which is printed
    message = status if isinstance(status, str) else output
    missing = [part for part in case.says.split(" … ") if part not in message]
    assert not missing, f"{missing} not in:\n{message}"
    check_files(case, before, files(copied.folder))


@pytest.mark.parametrize(
    "command",
    [
        f"train_net.py @step2 {wrong_data.NEW} train.max_itr=3",
        "detnas_d2.data.splits no.json --out d",
    ],
)
def test_debug_adds_the_traceback(copied, command):
    """Also behind overrides; the message is the same."""
    status, output = copied.run(*arguments(command))
    assert "Traceback" not in output
    with_debug, output = copied.run(*arguments(command), "--debug")
    assert with_debug == status
    assert "Traceback (most recent call last)" in output and "Error: " in output


def test_errors_of_several_processes(copied, capfd):
    """A port in use is seen before; what only the children see is one message as well."""
    train = "train_net.py --num-gpus 2 --dist-url {} @step2 " + wrong_data.NEW
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        status, output = copied.run(*arguments(train.format(url)))
    assert f"--dist-url is '{url}', but port" in status and "is in use" in status
    assert "Traceback" not in output and not (copied / "output/new").exists()

    (copied / wrong_data.TRAIN).write_text("{")
    status, output = copied.run(*arguments(train.format("auto")))
    output += capfd.readouterr().err  # the children's
    assert status == 1 and "Traceback" not in output, output
    assert "train_net.py: " in output and "instances_train.json: it is no JSON" in output

    with open(copied / "configs/tiny/step2.py", "a") as config:  # only the children crash
        config.write("import multiprocessing, os\nif multiprocessing.parent_process(): os.abort()")
    status, _ = copied.run(*arguments(train.format("auto")))
    assert "a process was ended by SIGABRT; " in status
