"""The columns of a leaderboard: unit, direction, and how numbers are written; the same in every format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replication_bench.results import Measurement
from reports.boards import Board
from reports.catalogue import about, title
from reports.pareto import alignment_metric, quality_metric
from reports.values import Value

ARROWS = {"up": "↑", "down": "↓", "zero": "→0", "reference": ""}
WORDS = {
    "up": "higher is better",
    "down": "lower is better",
    "zero": "closer to 0 is better",
    "reference": "",
}
MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
COPYING = ("r_star", "sim_mean", "sim_gt_05pc", "sim_gt_calibrated")
REDUCTIONS = ("reduction", "reduction_floor", "reduction_best")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name in rows and files.
        title: above it.
        unit: of the numbers as written.
        better: the direction that is good.
        scale: numbers are multiplied by it; 100 for percent.
        decimals: digits behind the point.
        group: the heading it stands under.
    """

    key: str
    title: str
    unit: str = ""
    better: str = "reference"
    scale: float = 1
    decimals: int = 3
    group: str = ""

    @property
    def header(self) -> str:
        """Title, direction and unit in one line."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title} {ARROWS[self.better]}".strip() + unit

    @property
    def about(self) -> str:
        """A plain explanation."""
        return about(self.key)

    def number(self, value: float) -> str:
        """A number as written; exactly zero is '0', unlike one that was rounded to 0.000."""
        if self.key == "p" and value < 0.001:
            return "<0.001"
        if value == 0:
            return "0"
        return f"{value * self.scale:,.{self.decimals}f}".replace("-", MINUS)

    def text(self, value: Value) -> str:
        """The number, or a dash."""
        return MISSING if value.value is None else self.number(value.value)

    def interval(self, value: Value) -> str:
        """Both ends in brackets; empty where there is no interval."""
        if value.value is None or value.low is None or value.high is None:
            return ""
        return f"[{self.number(value.low)}, {self.number(value.high)}]"


def columns_of(board: Board, reference: str, sort: str) -> list[Column]:
    """The columns of a board: R, against others, quality, more on copying, cost; and the one that is sorted by."""
    names = board.metric_names()
    measured = [name for name in ("R", *COPYING) if name in names]
    quality = [name for name in (quality_metric(board), alignment_metric(board)) if name]
    extra = [sort] if sort in names and sort not in (*measured, *quality) else []
    return [
        *(measured_column(board, name, "copying") for name in measured[:1]),
        Column("reduction", f"less copying than {reference}", "%", "up", 100, 1, "compared"),
        Column("reduction_floor", "less copying above the floor", "%", "up", 100, 1, "compared"),
        Column("reduction_best", "less copying than best data-side", "%", "up", 100, 1, "compared"),
        Column("p", f"p against {reference}", "", "reference", 1, 3, "compared"),
        *(measured_column(board, name, "quality") for name in quality),
        *(measured_column(board, name, "more on copying") for name in measured[1:]),
        *(measured_column(board, name, "sorted by") for name in extra),
        *COST,
    ]


COST = (
    Column("budget", "budget", "images", "reference", decimals=0, group="cost"),
    Column("images", "images seen", "", "down", decimals=0, group="cost"),
    Column("parameters", "parameters", "millions", "down", 1e-6, 2, "cost"),
    Column("seconds", "training", "s", "down", decimals=1, group="cost"),
    Column("calls", "network calls", "an image", "down", decimals=0, group="cost"),
)


def all_columns(board: Board, reference: str, sort: str) -> list[Column]:
    """The columns of a board, then every other measurement."""
    shown = columns_of(board, reference, sort)
    keys = {column.key for column in shown}
    return shown + [
        measured_column(board, name, "other") for name in board.metric_names() if name not in keys
    ]


def measured_column(board: Board, name: str, group: str = "") -> Column:
    """The column of one measurement, with three digits of its largest value."""
    found = [m for g in board.groups for result in g.results if (m := result.measurement(name))]
    scale, unit = unit_of(found[0])
    sizes = [abs(m.value) * scale for m in found if m.value and math.isfinite(m.value)]
    least = 1 if scale == 100 or max(sizes, default=0) >= 10 else 3
    decimals = min(max(least, 2 - math.floor(math.log10(max(sizes)))), 6) if sizes else least
    return Column(name, title(name), unit, found[0].better, scale, decimals, group)


def unit_of(found: Measurement) -> tuple[float, str]:
    """Shares are written in percent, everything else as measured."""
    return (100, "%") if found.unit == "share" else (1, {"percent": "%"}.get(found.unit, found.unit))


def footnotes(values: Sequence[Mapping[str, Value]], columns: Sequence[Column]) -> dict[str, int]:
    """A number for every distinct reason of a missing value among the columns shown."""
    reasons = dict.fromkeys(
        value.reason
        for row in values
        for column in columns
        if (value := row[column.key]).value is None and value.reason
    )
    return {reason: number for number, reason in enumerate(reasons, 1)}
