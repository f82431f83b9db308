"""How charts look, and how they come into a page."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ..files import write_atomically

PAPER, INK, MUTED, LINE = "#fdfdfb", "#1b1d22", "#666973", "#dddee2"
ACCENT, WARM, SOFT = "#1f5f9f", "#c2410c", "#f3f3f0"
# Okabe and Ito's palette for colour-blind readers, without yellow (faint on paper) and black
CATEGORIES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a8d94")
COLOURS = (
    f":root{{--paper:{PAPER};--ink:{INK};--muted:{MUTED};--line:{LINE};"
    f"--accent:{ACCENT};--warm:{WARM};--soft:{SOFT};}}"
)
"""CSS that gives the page the colours of the charts."""
WIDTH = 4.8  # inches of a chart, 480 px of the page's
_SETTINGS: Any = {
    "text.parse_math": False,  # names of choices and classes are anyone's
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
    **dict.fromkeys(("text.color", "axes.titlecolor", "legend.labelcolor"), INK),
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), MUTED),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), LINE),
}


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    source: a data URI, which needs no file beside the page. alt: what it shows, in words.
    caption: how to read it. width, height: in pixels of CSS.
    """

    source: str
    alt: str
    caption: str
    width: int
    height: int


@contextmanager
def chart_style() -> Iterator[None]:
    """matplotlib's settings for the charts, within this context."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the chart's words have it
        yield


def new_figure(height: float) -> Figure:
    """A figure of WIDTH and that height in inches; nothing has to be closed."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def category(index: int) -> str:
    """Colour of a choice or class; they repeat where there are more."""
    return CATEGORIES[index % len(CATEGORIES)]


def finish(figure: Figure, png: Path, alt: str, caption: str) -> Chart:
    """Write the figure as a PNG file, and give it for the page.

    Raises:
        OSError: the file can't be written.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=200)
    content = stream.getvalue()
    write_atomically(png, lambda file: file.write(content))
    source = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    width, height = figure.get_size_inches() * 100
    return Chart(source, alt, caption, round(width), round(height))


def short(name: str, length: int = 16) -> str:
    """A name of anyone's, cut where it is longer."""
    return name if len(name) <= length else name[: length - 1] + "…"


def quiet_axes(axes: Any) -> None:
    """Without ticks, grid and frame."""
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
