"""What a reader did to data, and what its user has to decide: each kind, and where it was seen."""

from __future__ import annotations

import enum
import textwrap
from collections import defaultdict
from typing import NamedTuple


class Severity(enum.Enum):
    """In the order of a report; the value is how it is said there."""

    ERROR = "ERROR"  # the data can't be used
    WARNING = "WARNING"  # all runs, and the figures suffer: the user decides
    LEFT_OUT = "LEFT OUT"
    MENDED = "MENDED"


_E, _W, _L, _M = Severity


class Rule(NamedTuple):
    """A kind of finding: its title (in the plural), and what to do, if anything."""

    severity: Severity
    title: str
    advice: str = ""


# In the order in which they are reported.
RULES = {
    "form": Rule(
        _E,
        "files that cannot be read, or are not in the expected form",
        "correct it there: a COCO JSON file is an object with the lists 'images', 'annotations' "
        "and 'categories'; a VOC folder has Annotations/, JPEGImages/ and, for its splits, "
        "ImageSets/Main/*.txt",
    ),
    "image-folder": Rule(
        _E,
        "splits none of whose images is found",
        "give the folder of the images: --images, or images in settings.py",
    ),
    "no-box": Rule(
        _E,
        "splits without any usable box",
        "there is nothing to learn or to score. Where all boxes are crowd regions: some tools "
        "write iscrowd 1 for every mask; set it to 0 where it is one object",
    ),
    "too-few": Rule(_E, "images that are too few", "add annotated images"),
    "box-corners": Rule(
        _W,
        "splits whose boxes may be [x0, y0, x1, y1]",
        "COCO's are [x, y, width, height], and these reach far out of their images: subtract the "
        "first corner from the second",
    ),
    "crowd-many": Rule(
        _W,
        "splits with many crowd regions (iscrowd)",
        "training takes them for background, the evaluation for no object: set iscrowd to 0 where "
        "each is one object",
    ),
    "box-tiny": Rule(
        _W,
        "splits with many boxes that resizing leaves a few pixels of",
        "cut the images into tiles, or train on larger ones (short_edge of configs/custom/"
        "machines.py; --short-edge here)",
    ),
    "leak": Rule(
        _W,
        "images that are in several splits",
        "take them out of all but one: a figure on images that were trained on is too good; "
        "--split deals out all images anew",
    ),
    "similar": Rule(
        _W,
        "images that look like one of another split (a guess, by a small copy of the image)",
        "look at them: pictures of one scene belong into one split",
    ),
    "classes-differ": Rule(
        _W,
        "splits whose classes are not those of the first split",
        "in configs/custom and --split classes go by their names, whatever their ids; is one of "
        "them called otherwise?",
    ),
    "class-names": Rule(
        _W,
        "class names that differ only in case, blanks or not at all",
        "if it is one class, give it one name and one id",
    ),
    "class-untrained": Rule(
        _W,
        "classes without a box in the training split",
        "they cannot be learned; --split deals out the boxes of rare classes to all splits",
    ),
    "image-turned": Rule(
        _W,
        "images that are turned by their EXIF orientation",
        "training turns them; make sure that their boxes were drawn on the turned image",
    ),
    "image-deep": Rule(
        _W,
        "images of more than 8 bits a channel",
        "training reads 8 bits and cuts off what is above; convert them (to 8-bit PNG)",
    ),
    "image-size": Rule(
        _L,
        "images of another size than their annotation says",
        "if the images were resized, resize the boxes with them; if an image is turned (EXIF), "
        "give the size after turning, and draw the boxes on the turned image",
    ),
    "image-large": Rule(
        _L,
        "images of more pixels than the image library reads, or over 100 times as long as wide",
        "cut them into tiles: resizing leaves no pixel of a strip",
    ),
    "image": Rule(_L, "images that are missing, damaged or badly annotated"),
    "box-damaged": Rule(_L, "boxes without area, outside their image, not finite, or of no image"),
    "box": Rule(_L, "boxes that are incomplete, of unknown classes or there twice"),
    "skipped": Rule(_L, "files and classes that are passed over"),
    "mended": Rule(_M, "what was put right"),
    "detail": Rule(_M, "what some tools do not read as it is"),
    "difficult": Rule(_M, "objects marked difficult, kept as any other (COCO has no such mark)"),
}

_SHOWN = 3  # places
_WIDTH = 92  # characters


class Finding(NamedTuple):
    """All places of one kind.

    Attributes:
        places: for each split the places, in the order in which they were seen.
    """

    code: str
    rule: Rule
    places: dict[str, list[str]]

    @property
    def total(self) -> int:
        return sum(map(len, self.places.values()))

    def __str__(self) -> str:
        """How many in which split, some places a line each, and what to do."""
        counts = ", ".join(f"{len(found):,} in {split}" for split, found in self.places.items())
        lines = [f"{self.rule.severity.value}: {self.rule.title}: {counts}"]
        each = max(1, _SHOWN // len(self.places))
        for split, found in self.places.items():
            start = f"    {split}: " if len(self.places) > 1 else "    "
            spread = found[:: max(1, len(found) // each)]  # the first alone may be of one cause
            lines += [start + place for place in spread[:each]]
        if self.total > len(lines) - 1:
            lines.append(f"    and {self.total - len(lines) + 1:,} more")
        if self.rule.advice:
            advice = textwrap.TextWrapper(_WIDTH, "    -> ", " " * 7, break_on_hyphens=False)
            lines.append(advice.fill(self.rule.advice))
        return "\n".join(lines)


class Findings:
    """Collects places by kind and split."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def add(self, code: str, split: str, place: str) -> None:
        """
        Args:
            code: a key of RULES.
            split: its name; of a file that is no split, the file's.
            place: where, with what was found there; for what is left out or mended, why and how.
        """
        self._places[code][split].append(place)

    def of(self, *severities: Severity) -> list[Finding]:
        """In the order of RULES, which is by severity; none given: of all."""
        return [
            Finding(code, rule, dict(self._places[code]))
            for code, rule in RULES.items()
            if code in self._places and rule.severity in (severities or Severity)
        ]
