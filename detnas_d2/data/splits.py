"""The images that the search scores candidates on, split off the training set by image id.

    python -m detnas_d2.data.splits ANNOTATIONS --search-images 5000 --seed 0 --out DIR

ANNOTATIONS is a COCO JSON file, e.g. datasets/coco/annotations/instances_train2017.json (train2017
is the paper's train + val without minival, and val2017 its minival). For Pascal VOC there is
detnas_d2.data.voc_splits. Writes two of the same form into DIR:
instances_search.json, the search's validation images, and instances_supernet.json, the rest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detnas_d2.commands import command, new_parser
from detnas_d2.data.catalog import SEARCH_PARTS
from detnas_d2.data.errors import DataError
from detnas_d2.data.seeding import derive_seed
from detnas_d2.files import parse_json, write_atomically

_SPLIT = 17  # purpose of a derived seed


def search_ids(ids: Iterable[Any], search_images: int, seed: int) -> set[Any]:
    """The ids of the search's images (the paper takes 5k), drawn without replacement.

    A function of the set of ids and the seed alone, not of the order of the ids.

    Args:
        ids: all integers, or all texts; each once.

    Raises:
        DataError: ids that are mixed or not unique, or a number of search images that leaves
            nothing to draw or nothing to train on.
    """
    ids = list(ids)
    try:
        ordered = sorted(set(ids))
    except TypeError as error:
        raise DataError("Image ids have to be all integers or all texts.") from error
    if len(ordered) != len(ids):
        raise DataError(f"{len(ids)} images have {len(ordered)} different image ids.")
    if not 0 < search_images < len(ids):
        raise DataError(
            f"search_images is {search_images}; of {len(ids)} images, 1 to {len(ids) - 1} can be "
            "split off."
        )
    rng = np.random.default_rng(derive_seed(seed, _SPLIT))
    return {ordered[i] for i in rng.permutation(len(ordered))[:search_images]}


def write_splits(
    annotations: str | Path, out: str | Path, search_images: int = 5000, seed: int = 0
) -> dict[str, Path]:
    """Splits a COCO JSON file in two; the same bytes each time, each file whole or absent.

    Returns:
        the file of each part.

    Raises:
        DataError: the file can't be read or is not in COCO's form; see `search_ids`.
    """
    try:
        content = parse_json(Path(annotations).read_bytes())
        images, objects = content["images"], content["annotations"]
        ids = [image["id"] for image in images]
        owners = [annotation["image_id"] for annotation in objects]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{annotations} can't be read as a COCO JSON file ({type(error).__name__}: {error}). "
            "Give the training annotations, e.g. datasets/coco/annotations/"
            "instances_train2017.json out of annotations_trainval2017.zip of cocodataset.org."
        ) from error
    searched = search_ids(ids, search_images, seed)
    files = {}
    for part in SEARCH_PARTS:
        wanted = searched if part == "search" else set(ids) - searched
        half = {
            **content,
            "images": [x for x in images if x["id"] in wanted],
            "annotations": [x for x, i in zip(objects, owners, strict=True) if i in wanted],
        }
        files[part] = Path(out) / f"instances_{part}.json"
        write_atomically(files[part], json.dumps(half))
    return files


def split_parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """What the commands for COCO and for VOC have in common."""
    parser = new_parser(description, f"python -m detnas_d2.data.{program}")
    parser.add_argument("--search-images", type=int, default=5000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    return parser


@command("splits")
def main(argv: Sequence[str]) -> None:
    parser = split_parser("splits", __doc__)
    parser.add_argument("annotations", metavar="ANNOTATIONS", help="a COCO JSON file")
    args = parser.parse_args(argv)
    files = write_splits(args.annotations, args.out, args.search_images, args.seed)
    for part, file in files.items():
        print(f"{part}: {len(json.loads(file.read_bytes())['images'])} images, {file}")


if __name__ == "__main__":
    main()
