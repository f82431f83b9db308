"""Every command of the pages can be typed: programs, options, configs and overrides exist."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import re
import runpy
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from own_images import with_tiny_data
from pages import PAGES, ROOT, Command, commands, name_of

from detnas_d2.engine import load_config

DEFAULTS = {
    "train_net.py": "configs/coco/step2_supernet_fpn_300m.py",
    "search_net.py": "configs/coco/step3_search_fpn_300m.py",
}
"""The configs that the scripts take without --config-file, which placeholders stand for too."""
OTHERS = {"pip", "pytest", "sphinx"}  # `python -m` of other packages
_PLACEHOLDER = re.compile(r"^[A-Z0-9_]+$|…|\.\.\.|<\w+>")
_OVERRIDE = re.compile(r"^\+?[a-z_]\w*(\.\w+)*=")


@functools.cache
def help_of(program: str) -> str:
    """What a script or a module prints for --help."""
    output = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # runpy's, of modules that are imported already
        patch.setattr(sys, "argv", [program, "--help"])
        patch.syspath_prepend(str((ROOT / program).parent))
        with pytest.raises(SystemExit) as end:
            if program.endswith(".py"):
                runpy.run_path(str(ROOT / program), run_name="__main__")
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
    assert end.value.code in (0, None), f"{program} --help: {end.value.code}"
    return output.getvalue()


def check(command: Command) -> None:
    program, *words = command.words
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        wrong = [w for w in words if "=" not in w and w not in targets]
        assert not wrong, f"{command.place}: make has no target {wrong}"
    elif program == "pip":
        check_extras(command)
    elif program == "python" and words[0] != "-c":
        check_python(command, words)


def check_extras(command: Command) -> None:
    extras = (ROOT / "setup.cfg").read_text().partition("[options.extras_require]")[2]
    known = re.findall(r"^(\w+) =$", extras, re.M)
    for word in command.words:
        if match := re.search(r"(?:detnas-d2|\.)\[([\w,]+)\]$", word):
            unknown = set(match[1].split(",")) - set(known)
            assert not unknown, f"{command.place}: setup.cfg has no extra {unknown}"


def check_python(command: Command, words: list[str]) -> None:
    if words[0] == "-m":
        program, words = words[1], words[2:]
        if program in OTHERS:
            return
        assert importlib.util.find_spec(program), f"{command.place}: no module {program}"
    else:
        program, words = words[0], words[1:]
        if _PLACEHOLDER.search(program):
            return
        assert (ROOT / program).is_file(), f"{command.place}: there is no {program}"
    options = [w.partition("=")[0] for w in words if w.startswith("--")]
    for option in options:
        known = re.search(rf"(?<![\w-]){option}(?![\w-])", help_of(program))
        assert known, f"{command.place}: {program} has no option {option}"
    check_files(command, program, words)


def check_files(command: Command, program: str, words: list[str]) -> None:
    configs = [w for w in words if re.match(r"(configs|projects)/\S+\.(py|yaml)$", w)]
    configs = [c for c in configs if not _PLACEHOLDER.search(c)]
    for file in configs:
        stands_for_many = re.search(r"(/|_)[DT](/|_|\.)", file)  # projects/DetNAS says which
        assert stands_for_many or (ROOT / file).is_file(), f"{command.place}: no {file}"
    overrides = [w.replace("…", "x") for w in words if _OVERRIDE.match(w)]
    config = next((c for c in configs if c.endswith(".py")), DEFAULTS.get(program))
    if overrides and config is not None:
        with TemporaryDirectory() as folder, with_tiny_data(ROOT / config, folder) as path:
            load_config(str(path), overrides)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands(page: Path):
    for command in commands(page):
        check(command)
