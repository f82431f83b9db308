"""The report: a table of the splits, what was found and done, and what to do next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from detnas_d2.data.dataset import Split
from detnas_d2.data.findings import Findings, Severity

from .parts import LEFT_OUT, Parts, left_out
from .stratify import PARTS

MARK = "detnas_data_check"
_SMALL, _LARGE = 32**2, 96**2  # COCO's limits of a box's area, in pixels of the original image
_CLASSES = 24  # rows of the table of classes


def summarise(split: Split) -> dict[str, Any]:
    """The figures of a split, without crowd regions and what is left out."""
    objects = [box for box in split.boxes if not box.is_crowd]
    counts = Counter(box.class_name for box in objects)
    areas = [box.entry["bbox"][2] * box.entry["bbox"][3] for box in objects]
    sizes = Counter("small" if a < _SMALL else "medium" if a < _LARGE else "large" for a in areas)
    ordered = sorted((i.size for i in split.images), key=lambda s: (s[0] * s[1], s))
    chosen = (ordered[0], ordered[len(ordered) // 2], ordered[-1]) if ordered else ()
    return {
        "name": split.name,
        "form": split.form,
        "file": str(split.file),
        "image_folder": str(split.image_folder),
        "image_folder_found": split.how,
        "images": len(split.images),
        "images_without_boxes": sum(not image.objects for image in split.images),
        "boxes": len(objects),
        "crowd_regions": sum(box.is_crowd for box in split.boxes),
        "boxes_by_size": {size: sizes[size] for size in ("small", "medium", "large")},
        "boxes_by_class": {name: counts[name] for name in split.classes.values()},
        "image_sizes": dict(zip(("smallest", "median", "largest"), chosen, strict=False)),
    }


def as_text(summaries: Sequence[dict[str, Any]], findings: Findings, *, fast: bool) -> str:
    """What a user reads, but for the last lines (:func:`verdict`)."""
    lines: list[str] = []
    for s in summaries:
        lines.append(f"{s['name']}: {s['file']} ({s['form']})")
        lines.append(f"  images in {s['image_folder']} ({s['image_folder_found']})")
    if summaries:
        lines += ["", _split_table(summaries), "", _class_table(summaries), ""]
        lines.append(
            "What is left out is not counted; small is under 32 x 32 pixels, large from 96 x 96 "
            "on. All places of what follows: --json FILE."
        )
    if fast:
        lines.append("The images were not decoded (--fast): damaged ones would not be seen.")
    return "\n\n".join(["\n".join(lines), *map(str, findings.of())])


def verdict(
    parts: Parts | None,
    findings: Findings,
    paths: Sequence[Path],
    images: Sequence[Path],
    arguments: Sequence[str],
) -> str:
    """The result in a line, and the next step.

    Args:
        parts: what configs/custom takes of the one path that was given; None: it takes none.
        paths, images: that were given.
        arguments: of the command, these among them.
    """
    counts = ", ".join(
        f"{sum(f.total for f in findings.of(severity)):,} {severity.value.lower()}"
        for severity in Severity
    )
    if findings.of(Severity.ERROR):
        return (
            f"Result: {counts}. Training cannot use the data.\n"
            "Next: mend the first error above, and check again."
        )
    if parts is None or len(paths) > 1:
        command = shlex.join(["python", "-m", "detnas_d2.data.check", *arguments])
        return (
            f"Result: {counts}. Training can use the data in three parts.\n"
            f"Next: configs/custom wants one folder with the splits {', '.join(PARTS)}. Put the "
            "files\ninto one under these names, or deal the images out anew:\n"
            f"  {command} --split OUT --seed 0"
        )
    changed = findings.of(Severity.LEFT_OUT, Severity.MENDED)
    how = ": configs/custom leaves out and mends what is listed above" if changed else ""
    settings = _settings(paths[0], images[0] if images else None)
    return f"Result: {counts}. Training can use the data{how}.\n{settings}"


def split_text(parts: Parts, folder: Path, findings: Findings) -> str:
    """What --split wrote, what it left out, and the next step."""
    lines = []
    for part, images in parts.images.items():
        boxes = sum(len(image.boxes) for image in images)
        lines.append(f"{part}: {len(images):,} images, {boxes:,} boxes, {folder / part}.json")
    gone = left_out(findings)
    lines += [f"left out: {title}: {len(places):,}" for title, places in gone.items()]
    all_of_it = f"Each of them is listed in {folder / LEFT_OUT}."
    lines.append(all_of_it if gone else "Nothing was left out.")
    if len(parts.images) < len(PARTS):
        return "\n".join([*lines, "configs/custom wants a test part, too: three --fractions."])
    return "\n".join([*lines, _settings(folder, None)])


def as_data(summaries: Sequence[dict[str, Any]], findings: Findings) -> dict[str, Any]:
    """The same for programs, with all places."""
    return {
        MARK: 1,
        **{s.name.lower(): sum(f.total for f in findings.of(s)) for s in Severity},
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
            for finding in findings.of()
        ],
    }


def _split_table(summaries: Sequence[dict[str, Any]]) -> str:
    head = ["split", "images", "without boxes", "boxes", "small", "medium", "large", "image sizes"]
    counts = ("name", "images", "images_without_boxes", "boxes")
    rows = [
        [*(s[key] for key in counts), *s["boxes_by_size"].values(), _sizes(s["image_sizes"])]
        for s in summaries
    ]
    return tabulate(rows, head, "simple", intfmt=",")


def _sizes(sizes: dict[str, tuple[int, int]]) -> str:
    if not sizes:
        return "unknown"
    smallest, median, largest = ("x".join(map(str, size)) for size in sizes.values())
    return largest if smallest == largest else f"{smallest} to {largest}, median {median}"


def _class_table(summaries: Sequence[dict[str, Any]]) -> str:
    """The most frequent classes, where they are many."""
    columns = [s["boxes_by_class"] for s in summaries]
    names = list(dict.fromkeys(name for column in columns for name in column))
    if len(names) > _CLASSES:
        names.sort(key=lambda name: -sum(column.get(name, 0) for column in columns))
    rows = [[n, *(f"{c[n]:,}" if n in c else "-" for c in columns)] for n in names[:_CLASSES]]
    if len(names) > _CLASSES:
        rows.append([f"({len(names) - _CLASSES} more)"])
    head = ["class", *(f"boxes in {s['name']}" for s in summaries)]
    align = ("left", *["right"] * len(columns))
    return tabulate(rows, head, "simple", colalign=align, disable_numparse=True)


def _settings(annotations: Path, images: Path | None) -> str:
    """The lines of the template of configs; without a folder, images are found as here."""
    return (
        "Next: set in configs/custom/settings.py (docs/own_data.md says how to go on)\n"
        f"  annotations = {str(annotations.resolve())!r}\n"
        f"  images = {str(images.resolve()) if images else ''!r}"
    )
