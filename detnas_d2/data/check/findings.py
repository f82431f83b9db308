"""What the check finds: the kinds of findings, most important first, and where each was seen."""

from __future__ import annotations

import enum
from collections import defaultdict
from typing import NamedTuple


class Severity(enum.IntEnum):
    """An error: training or evaluation stop, or learn something wrong, with the data as it is.
    A warning: they run, and the figures suffer. A note: to know."""

    ERROR = 0
    WARNING = 1
    NOTE = 2


class Rule(NamedTuple):
    """A kind of finding: how bad, its title (in the plural), and what to do."""

    severity: Severity
    title: str
    advice: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_SPLIT = "or let --split leave them out"
_MEND = "or let --split mend it in new files"

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
        _E, "splits none of whose images is found", "give the folder of the images with --images"
    ),
    "image-set": Rule(
        _E,
        "image sets with blank lines, or with ids that are there twice",
        f"delete these lines, {_MEND}",
    ),
    "xml": Rule(_E, "annotation files of images that cannot be read", f"write them anew, {_SPLIT}"),
    "image-missing": Rule(_E, "missing images", f"put them there, {_SPLIT}"),
    "image-damaged": Rule(_E, "images that cannot be decoded", f"copy them anew, {_SPLIT}"),
    "image-entry": Rule(
        _E,
        "image entries that are incomplete",
        "an image needs 'id' (integer or text), 'file_name', and 'width' and 'height' in pixels, "
        f"integers above 0 (VOC: a <size>); complete them, {_SPLIT} (where only the size is "
        "missing it is filled in)",
    ),
    "image-size": Rule(
        _E,
        "images of another size than their annotation says",
        "if the images were resized, resize the boxes with them; if an image is turned (EXIF), "
        f"take the size after turning, and draw the boxes on the turned image; {_SPLIT[3:]}",
    ),
    "image-id-twice": Rule(
        _E,
        "image ids that several images have",
        f"give every image its own id: whose the boxes are cannot be known; {_SPLIT[3:]}",
    ),
    "category-entry": Rule(
        _E,
        "categories that are incomplete",
        "a category needs 'id' (an integer, each once) and 'name' (a text)",
    ),
    "classes-differ": Rule(
        _E,
        "splits whose classes are not those of the first split",
        "all splits need the same categories with the same ids: a class of one would be scored "
        f"as another of the other; {_MEND}",
    ),
    "annotation-entry": Rule(
        _E,
        "annotations that are incomplete",
        "an annotation needs 'id', 'image_id' and 'category_id' (VOC: an <object> needs a <name>), "
        f"'iscrowd' 0 or 1 and no 'ignore'; {_SPLIT[3:]}",
    ),
    "annotation-id-twice": Rule(
        _E, "annotation ids that are there twice", f"number the annotations anew, {_MEND}"
    ),
    "category-unknown": Rule(
        _E,
        "boxes of a category that the file does not define",
        f"add it to 'categories', {_SPLIT}",
    ),
    "box-form": Rule(
        _E,
        "boxes that are not four numbers",
        f"a box is [x, y, width, height] in pixels (VOC: xmin, ymin, xmax, ymax); {_SPLIT[3:]}",
    ),
    "area": Rule(
        _E,
        "boxes without 'area', which COCO's evaluation needs",
        f"add it (width times height will do), {_MEND}",
    ),
    "segmentation-form": Rule(
        _E,
        "masks or keypoints that are not in COCO's form",
        "correct or remove 'segmentation' or 'keypoints', which training on boxes does not use; "
        f"{_MEND[3:]}",
    ),
    "voc-evaluation": Rule(
        _E,
        "annotations that Detectron2's VOC evaluation cannot read",
        "coordinates have to be integers, and every object needs pose, truncated and difficult; "
        f"{_MEND[3:]} (COCO JSON)",
    ),
    "no-box": Rule(_E, "splits without any usable box", "there is nothing to learn or to score"),
    "same-image-splits": Rule(
        _W,
        "images that are in several splits",
        "take them out of all but one: a figure on images that were trained on is too good; "
        "--split deals out all images anew",
    ),
    "image-twice": Rule(
        _W,
        "images that a split names twice",
        "put all boxes of an image into one entry: in each, those of the other count as "
        f"background; {_MEND}",
    ),
    "box-not-finite": Rule(
        _W,
        "boxes with NaN or infinity",
        f"training leaves them out, the evaluation counts them as missed; correct them, {_SPLIT}",
    ),
    "box-without-area": Rule(
        _W,
        "boxes without area (at most 1 pixel wide or high, or negative)",
        f"training leaves them out, the evaluation counts them as missed; correct them, {_SPLIT}",
    ),
    "box-outside": Rule(
        _W,
        "boxes outside their image",
        "training leaves them out, the evaluation counts them as missed; are they of another "
        f"image, or of another size of it? Correct them, {_SPLIT}",
    ),
    "annotation-without-image": Rule(
        _W, "annotations without image", f"they are not used; remove them, {_SPLIT}"
    ),
    "polygon": Rule(
        _W,
        "boxes that training skips because their polygon has fewer than 3 points",
        f"remove their 'segmentation', {_MEND}",
    ),
    "class-untrained": Rule(
        _W,
        "classes without a box in the training split",
        "they cannot be learned; --split deals out the boxes of rare classes to all splits",
    ),
    "class-empty": Rule(_W, "classes without any box", f"remove them from 'categories', {_SPLIT}"),
    "class-names": Rule(
        _W,
        "class names that differ only in case, blanks or not at all",
        "if it is one class, give it one name and one id",
    ),
    "image-deep": Rule(
        _W,
        "images of more than 8 bits a channel",
        "training reads 8 bits and cuts off what is above; convert them (to 8-bit PNG)",
    ),
    "image-turned": Rule(
        _W,
        "images that are turned by their EXIF orientation",
        "training turns them; make sure that their boxes were drawn on the turned image",
    ),
    "same-bytes": Rule(
        _W,
        "copies of one image in a split (the same bytes)",
        "keep one of them, if their boxes are the same; --split keeps copies in one split",
    ),
    "similar-splits": Rule(
        _W,
        "images that look like one of another split (a guess, by a small copy of the image)",
        "look at them: pictures of one scene belong into one split",
    ),
    "similar": Rule(
        _N,
        "images that look like another of their split (a guess)",
        "nothing to do, if it is meant, e.g. frames of a film",
    ),
    "class-unscored": Rule(
        _N, "classes without a box in a split", "that split has no figure for them"
    ),
    "image-empty": Rule(
        _N, "images without boxes", "training leaves them out; the evaluation uses them"
    ),
    "box-partly-outside": Rule(
        _N, "boxes that reach out of their image", "training cuts them off at the border"
    ),
    "crowd": Rule(
        _N,
        "crowd regions (iscrowd)",
        "training does not use them; in the evaluation they hide false detections",
    ),
    "difficult": Rule(
        _N,
        "objects marked difficult",
        "training uses them, VOC's evaluation leaves them out; a COCO file has no such mark",
    ),
    "category-ids": Rule(
        _N, "splits with gaps in their category ids", "nothing to do: they are mapped to 0, 1, ..."
    ),
    "same-name": Rule(
        _N, "file names that several splits have, for other images", "nothing to do, if it is meant"
    ),
    "skipped": Rule(_N, "files that were passed over", "name them alone to have them checked"),
}


WHOLE_SPLITS = ("file", "form", "image-folder")
"""What makes a whole split unusable, so that new splits would lack all of it."""


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

    def ordered(self) -> list[Finding]:
        """Errors first, then in the order of RULES."""
        found = [
            Finding(code, rule, dict(self._places[code]))
            for code, rule in RULES.items()
            if code in self._places
        ]
        return sorted(found, key=lambda finding: finding.rule.severity)

    def has(self, *codes: str) -> bool:
        return any(code in self._places for code in codes)

    def count(self, severity: Severity) -> int:
        """Places of that severity."""
        return sum(f.total for f in self.ordered() if f.rule.severity == severity)
