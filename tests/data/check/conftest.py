"""A tiny data set, and the check as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_to_check import make_coco

from detnas_d2.data.check.__main__ import main


@pytest.fixture
def coco(tmp_path) -> Path:
    return make_coco(tmp_path / "coco")


@pytest.fixture
def check(tmp_path):
    """Runs the command: its exit status, and its report as data."""

    def run(*arguments: object) -> tuple[int, dict]:
        report = tmp_path / "report.json"
        status = main([*map(str, arguments), "--json", str(report)])
        return status, json.loads(report.read_text())

    return run
