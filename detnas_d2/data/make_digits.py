"""Write a digits set, into $DETECTRON2_DATASETS/digits (unset: datasets/digits).

    python -m detnas_d2.data.make_digits demo      # for configs/demo and configs/own_space
    python -m detnas_d2.data.make_digits digits    # more images, for configs/digits
    python -m detnas_d2.data.make_digits table     # for configs/table, into .../table_digits

A set that is there already is left as it is; one of the other kind is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from detnas_d2.commands import command, new_parser
from detnas_d2.data.catalog import datasets_root
from detnas_d2.data.digits import DEMO_DIGITS, STUDY_DIGITS, TABLE_DIGITS, write_digits

SETS = {
    "demo": (DEMO_DIGITS, "digits"),
    "digits": (STUDY_DIGITS, "digits"),
    "table": (TABLE_DIGITS, "table_digits"),
}


@command("make_digits")
def main(argv: Sequence[str]) -> None:
    parser = new_parser(__doc__, "python -m detnas_d2.data.make_digits")
    parser.add_argument("set", choices=list(SETS), help="the configs it is for")
    parser.add_argument("--output", metavar="DIR", help="another folder")
    args = parser.parse_args(argv)
    parameters, folder = SETS[args.set]
    print(write_digits(args.output or datasets_root() / folder, parameters))


if __name__ == "__main__":
    main()
