"""The report: a table of the splits, the findings, and what to do next."""

from __future__ import annotations

import json
import os
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from detnas_d2.data.errors import DataError
from detnas_d2.files import parse_json, write_atomically

from .dataset import Split
from .findings import WHOLE_SPLITS, Finding, Findings, Severity
from .mended import Written
from .stratify import PARTS

_EXAMPLES = 3
_WIDTH = 92  # characters
_CLASSES = 24  # rows of the table of classes
_MARK = "detnas_data_check"


def as_text(summaries: Sequence[dict[str, Any]], findings: Findings, *, fast: bool) -> str:
    """What a user reads, but for the last lines (:func:`verdict`)."""
    lines: list[str] = []
    for summary in summaries:
        lines.append(f"{summary['name']}: {summary['file']} ({summary['form']})")
        lines.append(f"  images in {summary['image_folder']} ({summary['image_folder_found']})")
    if summaries:
        lines += ["", _split_table(summaries), "", _class_table(summaries), ""]
        lines.append(
            "Boxes that training leaves out are not counted; small is under 32 x 32 pixels, large "
            "from 96 x 96 on."
        )
    if fast:
        lines.append("The images were not decoded (--fast): damaged ones would not be seen.")
    for finding in findings.ordered():
        lines += ["", *_finding(finding)]
    return "\n".join(lines)


def verdict(
    splits: Sequence[Split], findings: Findings, paths: Sequence[Path], arguments: Sequence[str]
) -> str:
    """The result in a line, and the next step.

    Args:
        paths: that were given.
        arguments: of the command, these among them.
    """
    counts = ", ".join(_counted(findings, severity) for severity in Severity)
    command = shlex.join(["python", "-m", "detnas_d2.data.check", *arguments])
    if not findings.count(Severity.ERROR):
        return f"Result: {counts}. Training can use the data.\n{_next(splits, paths, command)}"
    lines = [f"Result: {counts}. Training cannot use the data as it is."]
    if findings.has(*WHOLE_SPLITS):
        lines.append("Next: mend the first error above, and check again.")
    else:
        lines.append("Next: mend the errors above and check again, or write new splits without")
        lines.append(f"what is unusable:\n  {command} --split OUT --seed 0")
    return "\n".join(lines)


def split_text(written: Written) -> str:
    """What --split wrote, what it left out, and the next step."""
    lines = []
    for part, file in written.files.items():
        images, boxes = written.counts[part]
        lines.append(f"{part}: {images:,} images, {boxes:,} boxes, {file}")
    for title, places in written.left_out.items():
        lines.append(f"left out: {title}: {len(places):,}")
    if written.left_out:
        lines.append(f"Each of them is listed in {written.left_out_file}.")
    else:
        lines.append("Nothing was left out.")
    folder = written.left_out_file.parent
    return "\n".join([*lines, _settings(folder, written.image_folder)])


def as_data(
    summaries: Sequence[dict[str, Any]], findings: Findings, written: Written | None
) -> dict[str, Any]:
    """The same for programs, with all places."""
    data: dict[str, Any] = {
        _MARK: 1,
        **{f"{severity.name.lower()}s": findings.count(severity) for severity in Severity},
        "splits": list(summaries),
        "findings": [
            {
                "code": finding.code,
                "severity": finding.rule.severity.name.lower(),
                "title": finding.rule.title,
                "advice": finding.rule.advice,
                "count": finding.total,
                "places": finding.places,
            }
            for finding in findings.ordered()
        ],
    }
    if written is not None:
        data["written"] = {
            "files": {part: str(file) for part, file in written.files.items()},
            "image_folder": str(written.image_folder),
            "left_out": written.left_out,
        }
    return data


def check_target(file: Path) -> None:
    """
    Raises:
        DataError: the file is there and is no report of this command.
    """
    if not file.exists():
        return
    try:
        ours = _MARK in parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise DataError(f"--json {file}: it holds something else. Choose another name.")


def write_data(file: Path, data: dict[str, Any]) -> None:
    write_atomically(file, json.dumps(data, indent=1) + "\n")


def _split_table(summaries: Sequence[dict[str, Any]]) -> str:
    rows = []
    for s in summaries:
        sizes = s["boxes_by_size"]
        rows.append(
            [s["name"], s["images"], s["images_without_boxes"], s["boxes"], *sizes.values()]
            + [_sizes(s["image_sizes"])]
        )
    head = ["split", "images", "without boxes", "boxes", "small", "medium", "large", "image sizes"]
    return tabulate(rows, head, "simple", intfmt=",")


def _sizes(sizes: dict[str, list[int]]) -> str:
    if not sizes:
        return "unknown"
    smallest, median, largest = ("x".join(map(str, size)) for size in sizes.values())
    return largest if smallest == largest else f"{smallest} to {largest}, median {median}"


def _class_table(summaries: Sequence[dict[str, Any]]) -> str:
    names = dict.fromkeys(name for s in summaries for name in s["boxes_by_class"])
    columns = [s["boxes_by_class"] for s in summaries]
    if len(names) > _CLASSES:
        total = {name: sum(column.get(name, 0) for column in columns) for name in names}
        names = dict.fromkeys(sorted(names, key=lambda name: -total[name]))
    rows = [[name, *(f"{c[name]:,}" if name in c else "-" for c in columns)] for name in names]
    if len(rows) > _CLASSES:
        half = _CLASSES // 2
        rows[half:-half] = [[f"({len(rows) - 2 * half} more)", *[""] * len(columns)]]
    head = ["class", *(f"boxes in {s['name']}" for s in summaries)]
    align = ("left", *["right"] * len(columns))
    return tabulate(rows, head, "simple", colalign=align, disable_numparse=True)


def _finding(finding: Finding) -> list[str]:
    rule = finding.rule
    counts = [f"{len(places):,} in {split}" for split, places in finding.places.items()]
    lines = [f"{rule.severity.name}: {rule.title}: {', '.join(counts)}"]
    each = max(1, _EXAMPLES // len(finding.places))
    shown = [(split, p) for split, places in finding.places.items() for p in places[:each]]
    for split, place in shown:
        lines.append("    " + (f"{split}: " if len(finding.places) > 1 else "") + place)
    if finding.total > len(shown):
        lines.append(f"    and {finding.total - len(shown):,} more (all with --json FILE)")
    advice = textwrap.wrap(rule.advice, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return lines + [f"    {'  ' if i else '->'} {line}" for i, line in enumerate(advice)]


def _counted(findings: Findings, severity: Severity) -> str:
    count = findings.count(severity)
    return f"{count:,} {severity.name.lower()}{'' if count == 1 else 's'}"


def _next(splits: Sequence[Split], paths: Sequence[Path], command: str) -> str:
    names = sorted({"valid": "val"}.get(split.name, split.name) for split in splits)
    if len(paths) == 1 and (len(splits) == 1 or names == sorted(PARTS)):
        root = os.path.commonpath([split.image_folder.resolve() for split in splits])
        return _settings(paths[0], Path(root))
    return (
        f"Next: configs/custom wants one folder with the splits {', '.join(PARTS)}. Put the files\n"
        "into one under these names, or deal the images out anew:\n"
        f"  {command} --split OUT --seed 0"
    )


def _settings(annotations: Path, images: Path) -> str:
    """The lines of the template of configs."""
    return (
        "Next: set in configs/custom/settings.py (docs/own_data.md says how to go on)\n"
        f"  annotations = {str(annotations.resolve())!r}\n"
        f"  images = {str(images.resolve())!r}"
    )
