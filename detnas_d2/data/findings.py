"""What a reader did to data, and what its user has to decide: each kind, and where it was seen."""

from __future__ import annotations

import enum
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from detnas_d2.data.errors import DataError

logger = logging.getLogger(__name__)


class Severity(enum.Enum):
    """In the order of a report; the value is how it is said there."""

    ERROR = "ERROR"  # the data can't be used
    WARNING = "WARNING"  # all runs, and the figures suffer: the user decides
    LEFT_OUT = "LEFT OUT"
    MENDED = "MENDED"


class Rule(NamedTuple):
    """A kind of finding: how bad, its title (in the plural), and what to do, if anything."""

    severity: Severity
    title: str
    advice: str = ""


_E, _W, _L, _M = Severity

# In the order in which they are reported.
RULES = {
    "file": Rule(
        _E, "files that cannot be read", "correct the file at that place, or write it anew"
    ),
    "form": Rule(
        _E,
        "files that are not in the expected form",
        "a COCO JSON file is an object with the lists 'images', 'annotations' and 'categories'; "
        "a VOC folder has Annotations/, JPEGImages/ and, for its splits, ImageSets/Main/*.txt",
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
    "image-long": Rule(
        _L, "images more than 100 times as long as wide", "cut them: resizing leaves no pixel"
    ),
    "image-large": Rule(
        _L, "images of more pixels than the image library reads", "cut them into tiles"
    ),
    "image-id-twice": Rule(
        _L,
        "images that share their id with another",
        "give every image its own id: whose the boxes are cannot be known",
    ),
    "image-missing": Rule(_L, "missing images"),
    "image-damaged": Rule(_L, "images that cannot be decoded"),
    "image-entry": Rule(_L, "image entries that are incomplete"),
    "xml": Rule(_L, "images whose annotation file cannot be read"),
    "class-entry": Rule(_L, "categories that are incomplete"),
    "class-empty": Rule(_L, "classes without any box"),
    "class-unknown": Rule(_L, "boxes of a category that the file does not define"),
    "box-entry": Rule(_L, "annotations that are incomplete"),
    "box-without-image": Rule(_L, "annotations without image"),
    "box-damaged": Rule(_L, "boxes without area, outside their image, or not finite"),
    "box-twice": Rule(_L, "boxes that another entry of their image has"),
    "skipped": Rule(_L, "files that were passed over"),
    "encoding": Rule(_M, "files in an encoding that not all tools read"),
    "number": Rule(_M, "numbers written as text, with a fraction or as null"),
    "id-twice": Rule(_M, "ids that are there twice, numbered anew"),
    "image-twice": Rule(_M, "images that are named twice, taken as one"),
    "name": Rule(_M, "file names that are written otherwise on the disk"),
    "size": Rule(_M, "image sizes taken from the files"),
    "class-blanks": Rule(_M, "class names with blanks around them"),
    "box-from-mask": Rule(_M, "boxes taken from masks"),
    "area": Rule(_M, "areas computed from the box"),
    "mask": Rule(_M, "masks and keypoints that are no such, removed"),
    "difficult": Rule(_M, "objects marked difficult, kept as any other (COCO has no such mark)"),
    "voc-evaluation": Rule(
        _M, "objects that Detectron2's VOC evaluation cannot read as they are, and COCO's can"
    ),
}

_SHOWN = 3
_reported: set[str] = set()


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
        """A line with the first places."""
        places = [place for found in self.places.values() for place in found]
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        return f"{self.rule.title} ({self.total}): {'; '.join(places[:_SHOWN])}{more}"


class Findings:
    """Collects places by kind and split."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def add(self, code: str, split: str, place: str) -> None:
        """
        Args:
            code: a key of RULES.
            split: its name; of a file that is no split, the file's.
            place: where, with what was found there.
        """
        self._places[code][split].append(place)

    def has(self, code: str, split: str) -> bool:
        return split in self._places.get(code, ())

    def of(self, *severities: Severity) -> list[Finding]:
        """In the order of RULES, which is by severity."""
        return [
            Finding(code, rule, dict(self._places[code]))
            for code, rule in RULES.items()
            if code in self._places and rule.severity in severities
        ]


def require_clean(source: object, findings: Findings, harmless: Iterable[str]) -> None:
    """For a data set that is trained and scored as it is: the evaluator reads the files again, and
    knows nothing of what is mended.

    Args:
        harmless: codes of what may be found.

    Raises:
        DataError: anything else was found.
    """
    wrong = [finding for finding in findings.of(*Severity) if finding.code not in harmless]
    if wrong:
        lines = "\n".join(f"  {finding}" for finding in wrong)
        raise DataError(
            f"{source} can't be used as it is:\n{lines}\nMend these, take the images out, or have "
            f"new ones written without these: python -m detnas_d2.data.check {source} --split OUT"
        )


def report_once(name: str, findings: Iterable[Finding]) -> None:
    """A warning of each kind, once in a process however often the data set is loaded."""
    for finding in findings:
        message = f"Data set {name}: {finding.rule.severity.value.lower()} {finding}"
        if message not in _reported:
            _reported.add(message)
            logger.warning(message)
