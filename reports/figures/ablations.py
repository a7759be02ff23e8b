"""What one setting does: rows of a method that differ in it and in nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.boards import Board, Group
from reports.columns import ARROWS
from reports.figures.style import NEUTRAL, QUIET, SERIES, Picture, only_grid
from reports.grouping import setting_text
from reports.leaderboard import BoardTable
from reports.reductions import reference_group
from reports.values import Value

WIDE_RANGE = 20  # largest over smallest number from which an axis is logarithmic

NAMES = {
    "skips": "transformed skips",
    "block": "kind of transfer block",
    "tau": "tau, first timestep of the tail",
    "budget": "budget, images seen",
}


class Point(NamedTuple):
    """One value of a setting, with R of its row and of the reference that the row is compared with."""

    setting: Any
    r: Value
    reference: Value | None


class Ablation(NamedTuple):
    """One setting of one method, by the last word of its key where no other has it; with a point at each value."""

    method: str
    setting: str
    points: tuple[Point, ...]


def pictures(table: BoardTable) -> list[Picture]:
    """A curve for each setting that was varied alone."""
    return [picture(found) for found in ablations(table.board, table.reference)]


def ablations(board: Board, reference: str) -> list[Ablation]:
    """For each method and setting the largest set of rows that differ in that setting alone."""
    found = []
    for method in dict.fromkeys(group.method for group in board.groups):
        rows = [g for g in board.groups_of(method) if g.value("R").value is not None]
        keys = dict.fromkeys(key for g in rows for key in g.setting)
        varied = {key: members for key in keys if len(members := largest_set(rows, key)) > 1}
        for key, members in varied.items():
            points = sorted((point(board, g, key, reference) for g in members), key=order)
            found.append(Ablation(method, short(key, varied), tuple(points)))
    return found


def short(key: str, others: Iterable[str]) -> str:
    """The last word of a key; the whole of it, less where all options of methods lie, where another ends alike."""
    last = key.rpartition(".")[2]
    alike = sum(other.rpartition(".")[2] == last for other in others)
    return last if alike == 1 else key.removeprefix("method.options.")


def point(board: Board, group: Group, key: str, reference: str) -> Point:
    """A row as a point; the reference itself is compared with nothing."""
    other = None if group.method == reference else reference_group(board, group, reference)
    return Point(group.setting.get(key), group.value("R"), other.value("R") if other else None)


def largest_set(rows: Sequence[Group], key: str) -> list[Group]:
    """The rows that are equal but for ``key``, which takes at least two values among them."""
    sets: dict[str, dict[str, Group]] = {}
    for group in rows:
        rest = {name: value for name, value in group.setting.items() if name != key}
        sets.setdefault(repr(sorted(rest.items())), {})[repr(group.setting.get(key))] = group
    return list(max(sets.values(), key=len, default={}).values())


def order(point: Point) -> tuple[bool, float, str]:
    """Numbers by size, then words by alphabet."""
    value = point.setting
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return not number, float(value) if number else 0.0, "" if number else setting_text(value)


def picture(found: Ablation) -> Picture:
    """R over the values of one setting."""
    told = "; ".join(f"{setting_text(p.setting)}: {p.r.value:.3f}" for p in found.points)
    name = NAMES.get(found.setting, found.setting.replace("_", " "))
    grey = "; grey is what each is compared with" if any(p.reference for p in found.points) else ""
    return Picture(
        f"ablation-{found.method}-{found.setting}".replace("+", "-"),
        f"{found.method}: {name}",
        f"R of {found.method} where only {name} differs. Bars are intervals{grey}.",
        f"R over {name}: {told}.",
        2.9,
        partial(draw, found=found, name=name),
    )


def draw(figure: Figure, found: Ablation, name: str) -> None:
    """A curve over numbers, points over words."""
    axes = figure.add_subplot()
    numeric = all(not order(point)[0] for point in found.points)
    xs = [float(p.setting) if numeric else float(i) for i, p in enumerate(found.points)]
    draw_references(axes, [(x, p.reference) for x, p in zip(xs, found.points, strict=True) if p.reference])
    values = [(x, p.r) for x, p in zip(xs, found.points, strict=True)]
    draw_values(axes, values, SERIES[0], "o-" if numeric else "o", markersize=6)
    if not numeric:
        axes.set_xlim(-0.5, len(xs) - 0.5)
    elif min(xs) > 0 and max(xs) >= WIDE_RANGE * min(xs):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(xs, [setting_text(p.setting) for p in found.points])
    axes.set(xlabel=name, ylabel=f"R {ARROWS['down']} (cosine)")
    axes.xaxis.label.set_color(QUIET)
    only_grid(axes, "y")


def draw_references(axes: Axes, points: Sequence[tuple[float, Value]]) -> None:
    """A band where all rows are compared with the same one, else a curve of its own."""
    different = {y for _, y in points if y.value is not None}
    if len(different) != 1:
        draw_values(axes, points, NEUTRAL, "s--", markersize=4, linewidth=1.1)
        return
    (only,) = different
    axes.axhline(only.value or 0.0, color=NEUTRAL, linewidth=1.2)
    if only.low is not None and only.high is not None:
        axes.axhspan(only.low, only.high, color=NEUTRAL, alpha=0.12, linewidth=0)


def draw_values(
    axes: Axes, points: Sequence[tuple[float, Value]], colour: str, style: str, **look: float
) -> None:
    """Values with their intervals; those that are missing are left out."""
    known = [(x, y.value, y.low, y.high) for x, y in points if y.value is not None]
    for x, _, low, high in known:
        if low is not None and high is not None:
            axes.vlines(x, low, high, color=colour, alpha=0.55, linewidth=1.2)
    axes.plot([x for x, *_ in known], [y for _, y, *_ in known], style, color=colour, **look)  # type: ignore[arg-type]
