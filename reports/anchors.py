"""What sets that were not generated score, which gives every similarity its meaning, in the terminal."""

from __future__ import annotations

from rich.table import Table as Grid
from rich.text import Text

from reports.boards import Board
from reports.columns import MISSING, Column, measured_column
from reports.terminal import new_grid, plain
from reports.values import Value

ANCHORS = (
    ("floor_95pc", "floor", "held-out against train: what an innocent generator would score as R"),
    ("floor_mean", "floor, mean", "the mean of the same similarities"),
    ("bg_95pc", "background", "train against train, each image without itself"),
    ("ceiling_95pc", "ceiling", "train after the backbone's own VAE round trip"),
    ("threshold", "calibrated threshold", "a quantile of held-out against train"),
    ("floor_gt_05pc", "false positives of 0.5", "share of held-out images above 0.5"),
)


def anchors(board: Board) -> Grid:
    """One line an anchor where all rows agree, else one a value with the rows that have it."""
    grid = new_grid("anchors: what a similarity means here")
    grid.add_column(Text("anchor"))
    for header in ("value", f"{100 * board.confidence:g} % interval", "n"):
        grid.add_column(Text(header), justify="right", no_wrap=True)
    grid.add_column(Text("meaning"))
    for name, label, meaning in ANCHORS:
        column = measured_column(board, name) if name in board.metric_names() else Column(name, label)
        for value, labels in distinct(board, name):
            owners = "" if len(labels) == len(board.groups) else f" ({', '.join(labels)})"
            grid.add_row(*map(plain, line(column, value, label + owners, meaning)))
    return grid


def distinct(board: Board, name: str) -> list[tuple[Value, list[str]]]:
    """The different values of one measurement, each with the labels of the rows that have it."""
    found: dict[tuple[float | None, str | None], tuple[Value, list[str]]] = {}
    for group in board.groups:
        value = group.value(name)
        found.setdefault((value.value, value.reason), (value, []))[1].append(group.label)
    return list(found.values())


def line(column: Column, value: Value, label: str, meaning: str) -> list[str]:
    """One line; a missing value has its reason in the last cell."""
    if value.value is None:
        return [label, MISSING, MISSING, MISSING, f"{meaning}; missing: {value.reason}"]
    n = MISSING if value.n is None else f"{value.n:,}"
    unit = " %" if column.unit == "%" else ""
    about = "; ".join(filter(None, (meaning, value.note)))
    return [label, column.text(value) + unit, column.interval(value) or MISSING, n, about]
