"""VOC 2007 and 2012 mixed in one folder, less the images that the search scores candidates on.

    python -m detnas_d2.data.voc_splits VOC2007 VOC2012 --search-images 5000 --seed 0 --out VOC0712

The paper trains and searches on trainval of both years; Detectron2's VOC evaluator reads one folder
and one image set a data set. Makes a folder in VOC's form of relative links to the years' files,
with two image sets: search.txt, the search's validation images, and supernet.txt, the rest.
"""

from __future__ import annotations

import hashlib
import logging
import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from detnas_d2.commands import command
from detnas_d2.data.atomic import write_folder_once
from detnas_d2.data.catalog import SEARCH_PARTS
from detnas_d2.data.errors import DataError
from detnas_d2.data.image_files import find_image
from detnas_d2.data.splits import search_ids, split_parser
from detnas_d2.data.voc import image_ids
from detnas_d2.data.voc_reader import is_integer, parse_xml

logger = logging.getLogger(__name__)

_SET = "trainval"
_FORMAT = 1  # raise when the same parameters give other files
_DEFAULTS = {"pose": "Unspecified", "truncated": "0", "difficult": "0"}


def write_mixed_years(
    years: Sequence[str | Path],
    out: str | Path,
    search_images: int = 5000,
    seed: int = 0,
) -> dict[str, Path]:
    """Mixes trainval of several years in one new folder; the same files each time, all or none.

    The image sets are sorted, and which image is in which is a function of ids and seed alone.
    Annotation files that the evaluator could not read are written anew (see `mended`).

    Args:
        years: folders in VOC's form with ImageSets/Main/trainval.txt.

    Returns:
        the image set of each part, "supernet" and "search".

    Raises:
        DataError: a file that is missing or damaged, an image id that two years have, a number
            of search images that leaves a part empty, or a folder `out` of other contents.
    """
    sources: dict[str, Path] = {}
    for year in (Path(y).resolve() for y in years):
        for image_id in image_ids(year, _SET):
            if image_id in sources:
                raise DataError(
                    f"Image {image_id} is in the {_SET} sets of {sources[image_id]} and {year}; "
                    "in one folder every image needs its own id. Give each year once."
                )
            sources[image_id] = year
    searched = search_ids(sources, search_images, seed)
    sets = {
        part: "".join(f"{i}\n" for i in sorted(sources) if (i in searched) == (part == "search"))
        for part in SEARCH_PARTS
    }

    def write(folder: Path) -> None:
        for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
            (folder / name).mkdir(parents=True)
        written_anew = []
        for image_id, year in sources.items():
            annotation = year / "Annotations" / f"{image_id}.xml"
            image = find_image(year / "JPEGImages", image_id)
            if image is None:
                raise DataError(
                    f"{year / 'JPEGImages'} has no image {image_id}, which is in {_SET}."
                )
            _link(image, folder / "JPEGImages" / image.name)
            text = mended(annotation)
            if text is None:
                _link(annotation, folder / "Annotations" / annotation.name)
            else:
                (folder / "Annotations" / annotation.name).write_text(text, encoding="utf-8")
                written_anew.append(annotation.name)
        for part, lines in sets.items():
            (folder / "ImageSets" / "Main" / f"{part}.txt").write_text(lines)
        if written_anew:
            logger.warning(
                f"{len(written_anew)} annotation files have what Detectron2's VOC evaluator can't "
                "read (coordinates that are no integers, or no pose, truncated or difficult); "
                f"rounded and filled in {out}: {', '.join(sorted(written_anew)[:10])}"
            )

    parameters = {
        "format": _FORMAT,
        "image_ids": hashlib.sha256("\n".join(sorted(sources)).encode()).hexdigest(),
        "search_images": search_images,
        "seed": seed,
    }
    # Resolved: a relative link leads astray where the path to it holds a link.
    folder = write_folder_once(Path(out).resolve(), parameters, write)
    return {part: folder / "ImageSets" / "Main" / f"{part}.txt" for part in SEARCH_PARTS}


def mended(annotation: Path) -> str | None:
    """An annotation file's text as Detectron2's VOC evaluator can read it; None if it is so.

    The evaluator takes whole numbers only, but e.g. 2011_003353 of VOC 2012 holds a ymin of 45.7;
    it also wants pose, truncated and difficult in every object. Coordinates are rounded.

    Raises:
        DataError: the file is missing or no XML, or a coordinate is no number.
    """
    try:
        root, is_plain = parse_xml(annotation.read_bytes())
        changed = not is_plain
        for item in root.findall("object"):
            for name, default in _DEFAULTS.items():
                if item.find(name) is None:
                    ET.SubElement(item, name).text = default
                    changed = True
            for side in item.findall("bndbox/*"):
                if not is_integer(side.text or ""):
                    side.text = str(round(float(side.text or "")))
                    changed = True
    except (OSError, ValueError, OverflowError, ET.ParseError) as error:
        raise DataError(f"Cannot read the annotation file {annotation}: {error}.") from error
    return ET.tostring(root, encoding="unicode") if changed else None


def _link(source: Path, target: Path) -> None:
    target.symlink_to(os.path.relpath(source, target.parent))


@command("voc_splits")
def main(argv: Sequence[str]) -> None:
    parser = split_parser("voc_splits", __doc__)
    parser.add_argument("years", nargs="+", metavar="YEAR", help="VOC2007 and VOC2012")
    args = parser.parse_args(argv)
    sets = write_mixed_years(args.years, args.out, args.search_images, args.seed)
    for part, file in sets.items():
        print(f"{part}: {len(file.read_text().splitlines())} images, {file}")


if __name__ == "__main__":
    main()
