"""Replication against quality, against text alignment, and against training time."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.boards import Group
from reports.columns import WORDS, Column
from reports.figures.names import name_points
from reports.figures.style import (
    INK,
    MOST_NAMES,
    QUIET,
    Look,
    Picture,
    about_the_others,
    looks,
    prominent,
)
from reports.leaderboard import BoardTable
from reports.values import Value

HEIGHT = 3.7


class Point(NamedTuple):
    """One row of the leaderboard."""

    label: str
    x: Value
    y: Value
    look: Look
    on_front: bool = False
    named: bool = True


def tradeoffs(table: BoardTable) -> list[Picture]:
    """R against each measurement of quality that the board has."""
    return [tradeoff(table, name, labels) for name, labels in table.fronts.items()]


def tradeoff(table: BoardTable, name: str, labels: list[str]) -> Picture:
    """R against one measurement, with the front."""
    look, y = looks(table), table.column(name)
    named = list(dict.fromkeys([*labels, *prominent(table)]))[:MOST_NAMES]
    points = [
        Point(g.label, g.value("R"), g.value(name), look[g.label], g.label in labels, g.label in named)
        for g in table.board.groups
        if g.value("R").value is not None and g.value(name).value is not None
    ]
    return Picture(
        f"replication-{name}",
        f"Copying against {y.title}",
        f"Left is less copying; {y.title}: {WORDS[y.better]}. Bars are intervals. The line joins the Pareto "
        f"front, whose markers are filled: rows that no other beats in both; controls are not in it."
        f"{about_the_others(table)}",
        f"R and {y.title} of each row. {told(points, table.column('R'), y)}. On the front: {', '.join(labels)}.",
        HEIGHT,
        partial(draw, points=points, x=table.column("R"), y=y, scale=y.scale, front=True),
    )


def training_time(table: BoardTable) -> Picture | None:
    """R against seconds of training; None where no run recorded any."""
    look, x = looks(table), table.column("seconds")
    rows, named = {row.label: row for row in table.rows}, prominent(table)
    points = [
        Point(g.label, rows[g.label].values["seconds"], g.value("R"), look[g.label], named=g.label in named)
        for g in table.board.groups
        if rows[g.label].values["seconds"].value is not None and g.value("R").value is not None
    ]
    if not points:
        return None
    return Picture(
        "training-time",
        "Copying against training time",
        "Wall-clock seconds of training, all stages together, on the machine of the run. Rows of one method with other "
        f"budgets are joined.{about_the_others(table)}",
        f"Training seconds and R of each row. {told(points, x, table.column('R'))}.",
        HEIGHT,
        partial(draw, points=points, x=x, y=table.column("R"), joined=budget_lines(table.board.groups)),
    )


def budget_lines(groups: tuple[Group, ...]) -> list[list[str]]:
    """The labels of each method that ran with several budgets and no other difference, by budget."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        rest = {key: value for key, value in group.setting.items() if key != "budget"}
        found.setdefault(repr(sorted(rest.items())), []).append(group)
    return [[g.label for g in sorted(m, key=lambda g: g.budget or 0)] for m in found.values() if len(m) > 1]


def told(points: list[Point], x: Column, y: Column) -> str:
    """The points in words."""
    return "; ".join(f"{p.label}: {x.title} {x.text(p.x)}, {y.title} {y.text(p.y)}" for p in points)


def draw(
    figure: Figure,
    points: list[Point],
    x: Column,
    y: Column,
    scale: float = 1.0,
    front: bool = False,
    joined: list[list[str]] | None = None,
) -> None:
    """Points with their intervals and names."""
    axes = figure.add_subplot()
    for point in points:
        draw_point(axes, point, x.scale, scale, filled=point.on_front or not front)
    lines = (
        [[p.label for p in sorted(points, key=lambda p: p.x.value or 0) if p.on_front]]
        if front
        else joined or []
    )
    at = {p.label: ((p.x.value or 0) * x.scale, (p.y.value or 0) * scale) for p in points}
    corners = [found for labels in lines if (found := [at[label] for label in labels if label in at])]
    for line in corners:
        axes.plot(*zip(*line, strict=True), color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.margins(0.12)
    axes.set(xlabel=x.header, ylabel=y.header)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(QUIET)
    name_points(axes, [(*at[p.label], p.label) for p in points if p.named], corners)


def draw_point(axes: Axes, point: Point, scale_x: float, scale_y: float, filled: bool = True) -> None:
    """One marker with its intervals; where there is a front, a filled one is on it."""
    x, y = (point.x.value or 0) * scale_x, (point.y.value or 0) * scale_y
    for value, scale, plot in ((point.x, scale_x, axes.hlines), (point.y, scale_y, axes.vlines)):
        if value.low is not None and value.high is not None:
            at = y if plot == axes.hlines else x
            plot(
                at, value.low * scale, value.high * scale, color=point.look.colour, linewidth=1.2, alpha=0.55
            )
    colour = point.look.colour
    face = colour if filled else "none"
    axes.plot(
        x, y, point.look.marker, color=colour, markerfacecolor=face, markersize=7, gid=f"point-{point.label}"
    )
