"""Classes: what splits lack, and where they differ."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from .dataset import Split
from .findings import Findings


def boxes_by_class(split: Split) -> Counter[str]:
    """Usable boxes that are no crowd regions."""
    boxes = (box for image in split.images for box in image.boxes)
    return Counter(box.class_name for box in boxes if box.class_name and box.is_object)


def is_training(split: Split) -> bool:
    return "train" in split.name.lower()


def check_classes(splits: Sequence[Split], findings: Findings) -> None:
    """Adds what is wrong with the classes of the splits, each and together."""
    counts = {split.name: boxes_by_class(split) for split in splits}
    total = sum(counts.values(), Counter[str]())
    for split in splits:
        _check_names(split, findings)
        if not counts[split.name]:
            findings.add("no-box", split.name, f"{split.file}: {len(split.images)} images")
        for image in split.images:
            if not any(box.is_object for box in image.boxes):
                findings.add("image-empty", split.name, image.file_name)
        for name in dict.fromkeys(split.classes):
            if not total[name]:
                findings.add("class-empty", split.name, name)
    for form in ("COCO", "VOC"):
        same_form = [split for split in splits if split.form == form]
        _compare(same_form, counts, total, findings)


def _compare(
    splits: Sequence[Split],
    counts: dict[str, Counter[str]],
    total: Counter[str],
    findings: Findings,
) -> None:
    everywhere = dict.fromkeys(name for split in splits for name in split.classes)
    for split in splits:
        if split.form == "COCO" and split.classes != splits[0].classes:
            findings.add("classes-differ", split.name, _difference(splits[0], split))
        code = "class-untrained" if is_training(split) else "class-unscored"
        for name in everywhere:
            if total[name] and not counts[split.name][name]:
                findings.add(code, split.name, name)


def _difference(first: Split, other: Split) -> str:
    more = [name for name in other.classes if name not in first.classes]
    less = [name for name in first.classes if name not in other.classes]
    parts = []
    if more:
        parts.append(f"has {', '.join(more[:5])}{' ...' if len(more) > 5 else ''} beside them")
    if less:
        parts.append(f"lacks {', '.join(less[:5])}{' ...' if len(less) > 5 else ''}")
    if not parts:
        pairs = zip(first.classes, other.classes, strict=True)
        a, b = next((a, b) for a, b in pairs if a != b)
        parts.append(f"has another order (by id): {b} where {first.name} has {a}")
    return f"{other.file.name} {' and '.join(parts)}"


def _check_names(split: Split, findings: Findings) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in split.classes:
        alike[" ".join(name.lower().split())].append(name)
    for names in alike.values():
        if len(names) > 1:
            findings.add("class-names", split.name, ", ".join(map(repr, names)))
