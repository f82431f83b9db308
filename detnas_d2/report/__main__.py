"""Writes the report of a search, or of all steps: python -m detnas_d2.report OUTPUT"""

from __future__ import annotations

from collections.abc import Sequence

from ..commands import command, new_parser
from .page import write_report

PROGRAM = "python -m detnas_d2.report"


@command(PROGRAM)
def main(argv: Sequence[str]) -> None:
    text = (
        "Writes OUTPUT/report/index.html, a page that opens from disk with no network, and its\n"
        "charts as PNG files beside it. Works while a search runs, too."
    )
    parser = new_parser(text, PROGRAM)
    more = "the output folder of a search, or one that holds those of several steps"
    parser.add_argument("output", metavar="OUTPUT", help=more)
    print(write_report(parser.parse_args(argv).output))


if __name__ == "__main__":
    main()
