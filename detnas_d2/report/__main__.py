"""Writes the report of a search, or of all steps: python -m detnas_d2.report OUTPUT"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..commands import add_debug, command
from .page import write_report


@command("python -m detnas_d2.report")
def main(argv: Sequence[str]) -> None:
    text = (
        "Writes OUTPUT/report/index.html, a page that opens from disk with no network, and its "
        "charts as PNG files beside it. Works while a search runs, too."
    )
    parser = argparse.ArgumentParser(prog="python -m detnas_d2.report", description=text)
    more = "the output folder of a search, or one that holds those of several steps"
    add_debug(parser).add_argument("output", metavar="OUTPUT", help=more)
    print(write_report(parser.parse_args(argv).output))


if __name__ == "__main__":
    main()
