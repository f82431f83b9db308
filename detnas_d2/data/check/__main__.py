"""Checks a data set before anything is trained on it, and writes new splits of what is usable.

    python -m detnas_d2.data.check train.json val.json --images photos
    python -m detnas_d2.data.check VOC2007
    python -m detnas_d2.data.check train.json val.json --images photos --split mended --seed 0

PATH is a COCO JSON file (one for each split), a folder in Pascal VOC's form (Annotations/,
JPEGImages/, and ImageSets/Main/*.txt where it has splits), or a folder with several of these.
Nothing that is there is changed. Ends with status 1 where training could not use the data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detnas_d2.commands import DEBUG, command, new_parser
from detnas_d2.data.errors import DataError
from detnas_d2.data.findings import Severity
from detnas_d2.files import write_json

from .judge import SHORT_EDGE, own_parts, read_clean
from .parts import FRACTIONS, deal, left_out, write_parts
from .report import MARK, as_data, as_text, split_text, summarise, verdict

_PROGRAM = "python -m detnas_d2.data.check"
_WHOLE_SPLITS = ("form", "image-folder")  # new splits would lack all of these


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(__doc__, _PROGRAM)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="what the file names are relative to: one for all, or one for each PATH (default: "
        "looked for near the file)",
    )
    parser.add_argument(
        "--fast", action="store_true", help="read the headers of the images only, not the images"
    )
    parser.add_argument(
        "--short-edge",
        type=int,
        default=SHORT_EDGE,
        metavar="PIXELS",
        help="of the images in training, as machines.py has it (default: %(default)s, of a CPU)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all findings to FILE, too")
    parser.add_argument(
        "--split",
        type=Path,
        metavar="OUT",
        help="write OUT/train.json, val.json and test.json: the usable images of all PATHs dealt "
        "out anew, every class in its share to each, copies of an image in one",
    )
    parser.add_argument("--seed", type=int, help="of --split (default: 0)")
    parser.add_argument(
        "--fractions",
        nargs="+",
        type=float,
        metavar="F",
        help="of --split: train, val and test, or train and val alone (default: 0.7 0.15 0.15)",
    )
    return parser


def _check_options(args: argparse.Namespace) -> None:
    """Options that would be ignored are refused, and a report in the place of something else."""
    if args.json is not None and args.json.exists():
        with open(args.json, "rb") as stream:
            if MARK.encode() not in stream.read(40):
                raise DataError(f"--json {args.json}: it holds something else. Choose another.")
    if args.split is None:
        if (args.seed, args.fractions) != (None, None):
            raise DataError("--seed and --fractions belong to --split: add --split OUT.")
    elif args.fast:
        raise DataError(
            "--split decodes every image, to leave out the damaged ones: leave --fast out."
        )


@command(_PROGRAM)
def main(argv: Sequence[str]) -> int:
    """
    Returns:
        1 where training could not use the data and no new splits were written, else 0.
    """
    args = _parser().parse_args(argv)
    _check_options(args)
    splits, findings = read_clean(
        args.paths, args.images, decode=not args.fast, short_edge=args.short_edge
    )
    written: dict[str, Any] = {}
    broken = any(f.code in _WHOLE_SPLITS for f in findings.of(Severity.ERROR))
    if args.split is None:
        arguments = [a for a in argv if a not in (DEBUG, "--fast")]  # neither goes with --split
        ending = verdict(own_parts(splits, findings), findings, args.paths, args.images, arguments)
    elif broken:
        ending = ""
    else:
        parts = deal(splits, findings, args.seed or 0, args.fractions or FRACTIONS)
        folder = write_parts(parts, args.split, findings)
        ending = split_text(parts, folder, findings)
        written = {"image_folder": str(parts.root), "left_out": left_out(findings)}
        written["files"] = {part: str(folder / f"{part}.json") for part in parts.images}
    summaries = [summarise(split) for split in splits]
    text = f"{as_text(summaries, findings, fast=args.fast)}\n\n{ending}".rstrip()
    # names out of files may hold what no terminal can show (halves of surrogate pairs)
    print(text.encode("utf-8", "backslashreplace").decode())
    if args.json is not None:
        report = as_data(summaries, findings) | ({"written": written} if written else {})
        write_json(args.json, report, indent=1)
    if args.split is not None and broken:
        raise DataError(
            "No splits were written, for whole files of the data would be missing in them: mend "
            "the first error above."
        )
    return 1 if not written and findings.of(Severity.ERROR) else 0


if __name__ == "__main__":
    sys.exit(main())
