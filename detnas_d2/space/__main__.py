"""Prints what an architecture costs: python -m detnas_d2.space SPACE ARCHITECTURE."""

from __future__ import annotations

from collections.abc import Sequence

from ..commands import command, new_parser
from ..space_file import add_space, space_and_size
from . import Architecture, CostTable
from .cost import FLOPS_CONVENTION, PARAMS_CONVENTION

PROGRAM = "python -m detnas_d2.space"


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = add_space(new_parser(__doc__, PROGRAM))
    parser.add_argument(
        "architecture",
        metavar="ARCHITECTURE",
        help="choices as 2,1,2,0,... from the first block on, or a best_architecture.json",
    )
    args = parser.parse_args(argv)
    space, size = space_and_size(args)
    print(_report(Architecture.parse(args.architecture, space), CostTable(space, size)))


def _report(architecture: Architecture, cost: CostTable) -> str:
    space = cost.space
    names: dict[str, list[str]] = {"stem": [f"3x3 conv, {space.stem_channels} channels"]}
    for block, choice in zip(space.blocks, architecture, strict=True):
        stage = names.setdefault(space.stage_names[block.stage], [])
        stage.append(space.choices[choice].name)
    rows = [
        (name, f"{flops:,}", f"{params:,}", " ".join(names[name]))
        for name, flops, params in cost.by_stage(architecture)
    ]
    rows.insert(0, ("stage", "multiply-adds", "parameters", "choices"))
    rows.append(("total", f"{cost.flops(architecture):,}", f"{cost.params(architecture):,}", ""))
    height, width = cost.input_size
    return "\n".join(
        [
            f"space {space.name}, architecture {architecture}, input {height}x{width}",
            "",
            *(f"{a:<6}{b:>16}{c:>14}  {d}".rstrip() for a, b, c, d in rows),
            "",
            f"multiply-adds: {FLOPS_CONVENTION}.",
            f"parameters: {PARAMS_CONVENTION}.",
        ]
    )


if __name__ == "__main__":
    main()
