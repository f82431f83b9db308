"""Prints what an architecture costs: python -m detnas_d2.space SPACE ARCHITECTURE."""

from __future__ import annotations

from collections.abc import Sequence

from ..commands import command, new_parser
from ..space_file import configured_input_size, load_space
from ..trust import add_trust
from . import SPACES, Architecture, CostTable
from .cost import FLOPS_CONVENTION, PARAMS_CONVENTION

PROGRAM = "python -m detnas_d2.space"


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    parser = add_trust(new_parser(__doc__, PROGRAM))
    parser.add_argument(
        "space",
        metavar="SPACE",
        help=f"{', '.join(SPACES)}, or a LazyConfig file (.py), or a run's config.yaml",
    )
    parser.add_argument(
        "architecture",
        metavar="ARCHITECTURE",
        help="choices as 2,1,2,0,... from the first block on, or a best_architecture.json",
    )
    parser.add_argument(
        "--input-size",
        metavar=("H", "W"),
        nargs="+",
        type=int,
        help="height and width in pixels, or one number for both (default: search.input_size of "
        "the config file, or else 224)",
    )
    args = parser.parse_args(argv)
    space = load_space(args.space, trust=args.trust)
    size = args.input_size or configured_input_size(args.space, trust=args.trust) or [224]
    cost = CostTable(space, list(size) * 2 if len(size) == 1 else size)
    print(_report(Architecture.parse(args.architecture, space), cost))


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
