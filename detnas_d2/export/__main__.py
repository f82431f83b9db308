"""Exports a trained network: python -m detnas_d2.export OUTPUT --format onnx --output FILE."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..commands import add_debug, command
from .comparing import TOLERANCE
from .exporting import FORMATS, PARTS, Exported, export
from .trained import add_arguments, load_trained

PROGRAM = "python -m detnas_d2.export"


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Writes a trained network to a file that runs without this project, and checks "
        "that the file computes the same.",
    )
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
    args = add_debug(parser).parse_args(argv)
    trained = load_trained(args.output, args.weights)
    print(f"read {trained.weights}", flush=True)
    done = export(
        trained,
        args.format,
        args.file,
        part=args.part,
        images=args.images,
        device=args.device,
        tolerance=args.tolerance,
    )
    print(_report(done))


def _report(done: Exported) -> str:
    size = done.path.stat().st_size / 2**20
    lines = [f"wrote {done.path} ({size:.1f} MiB)"]
    comparison = done.comparison
    if comparison is None:
        lines.append("checked: read again, every tensor is the same")
        if done.description["part"] == "backbone":
            path = ",".join(map(str, done.description["architecture"]))
            lines.append(
                f"it is the state dict of ShuffleNetV2({done.description['space']!r}, {path!r})"
            )
        return "\n".join(lines)
    what = f"{comparison.images} {'images of noise' if done.made_up else 'images'}"
    if "boxes" in done.description["outputs"]:
        what += f", {comparison.detections} detections"
    differences = ", ".join(f"{name} {value:.1e}" for name, value in comparison.largest.items())
    lines.append(f"checked on {what}; largest difference: {differences}")
    if "boxes" in done.description["outputs"] and not comparison.detections:
        lines.append(
            "nothing was detected in them, so that boxes and scores could not be compared: give "
            "--images with photographs that the network was trained for"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
