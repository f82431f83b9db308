"""How charts look, and how they come into a page: SVG that follows the reader's colour scheme."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..files import write_atomically

# light and dark; in an SVG each light colour becomes a CSS variable
PAPER, INK, MUTED, LINE, ACCENT, WARM = (
    "#fdfdfb",
    "#1b1d22",
    "#666973",
    "#dddee2",
    "#1f5f9f",
    "#c2410c",
)
# Okabe and Ito's palette for colour-blind readers, without yellow (faint on paper) and black
CATEGORIES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a8d94")
DARK = {
    PAPER: "#16181d",
    INK: "#e8e9ec",
    MUTED: "#a0a3ad",
    LINE: "#363943",
    ACCENT: "#74aee8",
    WARM: "#f2894f",
    "#0072b2": "#3d9ade",
}
WIDTH = 4.8  # inches of a chart, 480 px of the page's
_PNG_DPI = 200
_FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "detnas",
    "text.parse_math": False,  # names of choices and classes are anyone's
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
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
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the browser has it
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """A figure of that size in inches; nothing has to be closed."""
    return Figure(figsize=(width, height), layout="constrained")


def category(index: int) -> str:
    """Colour of a choice or class; they repeat where there are more."""
    return CATEGORIES[index % len(CATEGORIES)]


def finish(figure: Figure, png: Path, alt: str, caption: str) -> Chart:
    """Write the figure as a PNG file, and give it for the page as SVG.

    Raises:
        OSError: the file can't be written.
    """
    write_atomically(png, lambda stream: figure.savefig(stream, format="png", dpi=_PNG_DPI))
    text = io.StringIO()
    empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=empty)
    source = "data:image/svg+xml;base64," + base64.b64encode(
        themed(text.getvalue()).encode()
    ).decode("ascii")
    width, height = figure.get_size_inches() * 100
    return Chart(source, alt, caption, round(width), round(height))


def themed(svg: str) -> str:
    """matplotlib's SVG with the page's fonts, and with other colours in a dark scheme."""
    svg = svg[svg.index("<svg") :]
    light = "".join(f"--c{colour[1:]}:{colour};" for colour in DARK)
    dark = "".join(f"--c{colour[1:]}:{other};" for colour, other in DARK.items())
    style = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    svg = re.sub("|".join(DARK), lambda m: f"var(--c{m[0][1:]})", svg)
    svg = svg.replace("'DejaVu Sans'", _FONTS)
    return svg.replace('<style type="text/css">', f'<style type="text/css">{style}', 1)


def short(name: str, length: int = 16) -> str:
    """A name of anyone's, cut where it is longer."""
    return name if len(name) <= length else name[: length - 1] + "…"


def quiet_axes(axes: Axes) -> None:
    """Without ticks, grid and frame."""
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
