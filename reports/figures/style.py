"""How every picture looks: one palette that colour-blind readers can tell apart, thin lines, no frames.

Inside the page a picture takes its colours from the page, so that it follows light and dark; colours are therefore
drawn as fixed placeholders and replaced by the page's variables.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.leaderboard import BoardTable

# Okabe and Ito's palette without its yellow, which is too pale on white
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NEUTRAL, INK, QUIET, LINE = "#6b7280", "#1b1f24", "#626a73", "#d5d9de"
VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)", LINE: "var(--line)", NEUTRAL: "var(--neutral)"} | {
    colour: f"var(--s{index})" for index, colour in enumerate(SERIES)
}
WIDE, NARROW = 7.4, 3.7  # inches; a phone shows the narrow one
LETTER = 4.6  # points: the usual width of a letter in a point's name
MOST_NAMES = 8  # of points and curves; a picture of more rows names some of them
SETTINGS: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "text.parse_math": False,  # names of settings and methods may hold dollar signs
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.spines.bottom": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
}
DPI = 160


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn in two widths.

    Attributes:
        name: of its files.
        title: above it.
        caption: how to read it.
        alt: what it shows, for those who do not see it.
        height: inches.
        draw: draws into an empty figure.
    """

    name: str
    title: str
    caption: str
    alt: str
    height: float
    draw: Callable[[Figure], None]

    def render(self, width: float, *forms: str) -> dict[str, bytes]:
        """As ``png`` or ``svg``, drawn once; equal numbers give equal bytes."""
        found = {}
        with rc_context({**SETTINGS, "svg.hashsalt": self.name}):
            figure = Figure(figsize=(width, self.height), layout="constrained")
            self.draw(figure)
            for form in forms:
                file = io.BytesIO()
                metadata = {"Date": None} if form == "svg" else {"Software": None}
                figure.savefig(file, format=form, dpi=DPI, metadata=metadata, facecolor="white")
                found[form] = file.getvalue()
        return found

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The wide picture in both formats."""
        return self.render(WIDE, "png", "svg")

    def inline(self, prefix: str, narrow: bool = False) -> str:
        """An ``<svg>`` for the page: its colours, its font, and ids that no other picture has."""
        svg = self.render(NARROW, "svg")["svg"] if narrow else self.files["svg"]
        return for_page(svg.decode(), prefix)


def for_page(svg: str, prefix: str) -> str:
    """A standalone SVG as part of a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", svg)
    svg = svg.replace("fill: #ffffff", "fill: none", 1)  # the paper is the page's own
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg


@dataclass(frozen=True)
class Look:
    """Colour and marker of one row."""

    colour: str
    marker: str


def looks(table: BoardTable) -> dict[str, Look]:
    """By label; the reference is neutral, the others take the palette in the order of the board's groups."""
    found: dict[str, Look] = {}
    for group in table.board.groups:
        if group.method == table.reference:
            found[group.label] = Look(NEUTRAL, "o")
        else:
            index = sum(look.colour != NEUTRAL for look in found.values())
            found[group.label] = Look(
                SERIES[index % len(SERIES)], MARKERS[index // len(SERIES) % len(MARKERS)]
            )
    return found


def only_grid(axes: Axes, axis: str) -> None:
    """Grid lines of one axis alone."""
    axes.grid(False)
    axes.grid(True, axis=axis)  # type: ignore[arg-type]


def prominent(table: BoardTable) -> list[str]:
    """The labels of all rows where they are few; else of the references and of the best of the others."""
    measured = [row for row in table.rows if row.role != "reported"]
    if len(measured) <= MOST_NAMES:
        return [row.label for row in measured]
    references = [row.label for row in measured if row.method == table.reference][:2]
    others = [row.label for row in measured if row.method != table.reference]
    return references + others[: MOST_NAMES - len(references)]


def about_the_others(table: BoardTable) -> str:
    """A sentence for the caption of a picture that cannot show every row with its name; else nothing."""
    rows = sum(row.role != "reported" for row in table.rows)
    return (
        "" if rows <= MOST_NAMES else f" Of {rows} rows only some have their names here; the table has all."
    )
