"""What one setting does: rows of a method that differ in it and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from reports.boards import Group, setting_text
from reports.columns import ARROWS
from reports.figures.style import NEUTRAL, QUIET, SERIES, Picture, only_grid
from reports.leaderboard import BoardTable
from reports.values import Value

NAMES = {
    "skips": "transformed skips",
    "block": "kind of transfer block",
    "tau": "tau, first timestep of the tail",
}


class Ablation(NamedTuple):
    """One setting of one method, with R at each of its values."""

    method: str
    setting: str
    points: tuple[tuple[Any, Value], ...]


def pictures(table: BoardTable) -> list[Picture]:
    """A curve for each setting that was varied alone."""
    reference = next((g.value("R") for g in table.board.groups if g.method == table.reference), None)
    return [picture(found, reference) for found in ablations(table.board.groups)]


def ablations(groups: Sequence[Group]) -> list[Ablation]:
    """For each method and setting the largest set of rows that differ in that setting alone."""
    found = []
    for method in dict.fromkeys(group.method for group in groups):
        rows = [g for g in groups if g.method == method and g.value("R").value is not None]
        for key in dict.fromkeys(key for g in rows for key in g.setting):
            members = largest_set(rows, key)
            if len(members) > 1 and key != "budget":
                points = [(g.setting.get(key), g.value("R")) for g in members]
                found.append(Ablation(method, key.rpartition(".")[2], tuple(sorted(points, key=order))))
    return found


def largest_set(rows: Sequence[Group], key: str) -> list[Group]:
    """The rows that are equal but for ``key``, which takes at least two values among them."""
    sets: dict[str, dict[str, Group]] = {}
    for group in rows:
        rest = {name: value for name, value in group.setting.items() if name != key}
        sets.setdefault(repr(sorted(rest.items())), {})[repr(group.setting.get(key))] = group
    return list(max(sets.values(), key=len, default={}).values())


def order(point: tuple[Any, Value]) -> tuple[bool, float, str]:
    """Numbers by size, then words by alphabet."""
    value = point[0]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return not number, float(value) if number else 0.0, "" if number else setting_text(value)


def picture(found: Ablation, reference: Value | None) -> Picture:
    """R over the values of one setting."""
    told = "; ".join(f"{setting_text(x)}: {y.value:.3f}" for x, y in found.points)
    name = NAMES.get(found.setting, found.setting.replace("_", " "))
    return Picture(
        f"ablation-{found.method}-{found.setting}".replace("+", "-"),
        f"{found.method}: {name}",
        f"R of {found.method} where only {found.setting} differs; bars are intervals, the grey line is the reference.",
        f"R over {name}: {told}.",
        2.9,
        partial(draw, found=found, name=name, reference=reference),
    )


def draw(figure: Figure, found: Ablation, name: str, reference: Value | None) -> None:
    """A curve over numbers, points over words."""
    axes = figure.add_subplot()
    numeric = all(not order(point)[0] for point in found.points)
    xs = [float(x) for x, _ in found.points] if numeric else [float(i) for i in range(len(found.points))]
    ys = [y.value or 0.0 for _, y in found.points]
    if reference is not None and reference.value is not None:
        axes.axhline(reference.value, color=NEUTRAL, linewidth=1.2)
        if reference.low is not None and reference.high is not None:
            axes.axhspan(reference.low, reference.high, color=NEUTRAL, alpha=0.12, linewidth=0)
    for x, (_, y) in zip(xs, found.points, strict=True):
        if y.low is not None and y.high is not None:
            axes.vlines(x, y.low, y.high, color=SERIES[0], alpha=0.55, linewidth=1.2)
    axes.plot(xs, ys, "o-" if numeric else "o", color=SERIES[0], markersize=6)
    if not numeric:
        axes.set_xlim(-0.5, len(xs) - 0.5)
    axes.set_xticks(xs, [setting_text(x) for x, _ in found.points])
    axes.set(xlabel=name, ylabel=f"R {ARROWS['down']} (cosine)")
    axes.xaxis.label.set_color(QUIET)
    only_grid(axes, "y")
