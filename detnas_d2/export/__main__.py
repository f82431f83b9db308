"""Exports a trained network: python -m detnas_d2.export OUTPUT --format onnx --output FILE.

Writes it to a file that runs without this project, and checks that the file computes the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..commands import command, new_parser
from ..modeling import find_backbone
from ..space import SpaceError, get_space
from .comparing import TOLERANCE
from .exporting import FORMATS, PARTS, Exported, export
from .trained import Trained, add_arguments, config_of, load_trained

PROGRAM = "python -m detnas_d2.export"


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__, PROGRAM)
    add_arguments(parser)
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", required=True, dest="file", metavar="FILE")
    parser.add_argument(
        "--part", choices=PARTS, default="detector", help="what to export (default: detector)"
    )
    parser.add_argument(
        "--images",
        metavar="IMAGE",
        nargs="+",
        default=(),
        help="photographs to check on (default: the first of its test set, if they are there)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="where a TorchScript detector will run: cpu (default) or cuda",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="T",
        help="of a value v the file may differ by T * max(1, |v|) (default: %(default)g)",
    )
    args = parser.parse_args(argv)
    trained = load_trained(args.output, args.weights, trust=args.trust)
    print(f"read {trained.weights}", flush=True)
    more = {"images": args.images, "device": args.device, "tolerance": args.tolerance}
    done = export(trained, args.format, args.file, part=args.part, **more)
    print(_report(done))
    if done.description["part"] == "backbone" and done.comparison is None:
        print(_network(trained, config_of(Path(args.output)), done.path))
    is_detector = "boxes" in done.description.get("outputs", ())
    if is_detector and done.comparison is not None and not done.comparison.detections:
        print(
            "WARNING: nothing was detected on these images, so boxes and scores were not compared: "
            "give --images photographs with objects",
            file=sys.stderr,
        )


def _report(done: Exported) -> str:
    size = done.path.stat().st_size / 2**20
    wrote = f"wrote {done.path} ({size:.1f} MiB)"
    comparison = done.comparison
    if comparison is None:
        return wrote
    what = f"{comparison.images} {'images of noise' if done.made_up else 'images'}"
    if "boxes" in done.description["outputs"]:
        what += f", {comparison.detections} detections"
    differences = ", ".join(f"{name} {value:.1e}" for name, value in comparison.largest.items())
    return f"{wrote}\nchecked on {what}; largest difference: {differences}"


def _network(trained: Trained, config: Path, file: Path) -> str:
    """How a backbone is made of its state dict; only built-in spaces go by their names."""
    found = find_backbone(trained.model)
    assert found is not None
    space = found[1].space
    path = ",".join(map(str, trained.describe()["architecture"]))
    source = str(config)
    with suppress(SpaceError):
        source = space.name if space == get_space(space.name) else source
    return f"in Python: create_backbone({source!r}, {path!r}, pretrained={str(file)!r})"


if __name__ == "__main__":
    main()
