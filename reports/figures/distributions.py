"""How similar each set of images is to its nearest training images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.boards import Group
from reports.figures.style import INK, LETTER, LINE, NARROW, QUIET, WIDE, Picture, looks, only_grid
from reports.leaderboard import BoardTable

ROW, MOST_ROWS = 0.42, 24
MOST_FOR_LABELS = 0.45  # of the width
PERCENTILES = {"floor": "floor_95pc", "background": "bg_95pc", "ceiling": "ceiling_95pc"}
MEANS = {"floor": "floor_mean", "background": "bg_mean", "ceiling": "ceiling_mean"}
Rows = NDArray[np.float64]


class Ridge(NamedTuple):
    """One row of the picture: similarities, or only their mean and 95th percentile."""

    label: str
    colour: str
    rows: Rows | None
    mean: float | None
    top: float | None


def picture(table: BoardTable) -> Picture:
    """Densities, one row a set, with the thresholds across them."""
    below = anchors(table)
    above = generated(table)
    ridges = above[: MOST_ROWS - len(below)] + below
    left = len(above) + len(below) - len(ridges)
    cut = f" {left} more rows of the table have no room here." if left else ""
    limits = thresholds(table)
    told = [f"{r.label}: 95th percentile {r.top:.3f}" for r in ridges if r.top is not None]
    lines = [f"{name} {value:.2f}" for name, value in limits.items()]
    return Picture(
        "distributions",
        "How similar images are to their nearest training image",
        "Each row is the distribution of similarities; the bar below marks the mean and the 95th percentile, which is "
        "R for generated images. Innocent images look like the floor (held-out images), copies like the ceiling "
        f"(training images after the VAE); the background is training images, each without itself.{cut}",
        f"Distributions of similarity. {'; '.join(told)}. Thresholds: {', '.join(lines)}.",
        1.15 + ROW * len(ridges),
        partial(draw, ridges=ridges, limits=limits),
    )


def generated(table: BoardTable) -> list[Ridge]:
    """The rows of the methods, in the order of the leaderboard."""
    look, groups = looks(table), {group.label: group for group in table.board.groups}
    ordered = [groups[row.label] for row in table.rows if row.label in groups]
    return [
        Ridge(g.label, look[g.label].colour, similarities(g), g.value("sim_mean").value, g.value("R").value)
        for g in ordered
    ]


def similarities(group: Group) -> Rows | None:
    """Top-1 similarities of all seeds; None where the matches are gone."""
    found = [rows["similarity"].to_numpy() for rows in group.top1.values()]
    return np.concatenate(found) if found else None


def anchors(table: BoardTable) -> list[Ridge]:
    """The rows of the sets that were not generated."""
    drawn = anchor_rows(table.board.groups)
    found = []
    for name in PERCENTILES:
        mean, top = (
            next((v for g in table.board.groups if (v := g.value(keys[name]).value) is not None), None)
            for keys in (MEANS, PERCENTILES)
        )
        if mean is not None or name in drawn:
            found.append(Ridge(name, QUIET, drawn.get(name), mean, top))
    return found


def anchor_rows(groups: tuple[Group, ...]) -> dict[str, Rows]:
    """The similarities of floor, background and ceiling from the first run that kept them."""
    for group in groups:
        for run in group.runs:
            table = read_anchors(run.folder)
            if table is not None:
                return {
                    str(name): rows["similarity"].to_numpy(dtype=float) for name, rows in table.groupby("set")
                }
    return {}


def read_anchors(folder: Path) -> pd.DataFrame | None:
    """``anchors.parquet`` of a run; None where it has none that can be read."""
    try:
        table = pd.read_parquet(folder / "anchors.parquet", columns=["set", "id", "similarity"])
    except (OSError, ValueError, KeyError):
        return None
    return table if np.isfinite(table["similarity"]).all() else None


def thresholds(table: BoardTable) -> dict[str, float]:
    """Names and values of the thresholds, the calibrated one where it was measured."""
    found = {"literature": 0.5, "SSCD's authors": 0.75}
    calibrated = [v for g in table.board.groups if (v := g.value("threshold").value) is not None]
    return ({"calibrated": calibrated[0]} if calibrated else {}) | found


def draw(figure: Figure, ridges: list[Ridge], limits: dict[str, float]) -> None:
    """Draw the rows from top to bottom."""
    axes = figure.add_subplot()
    width = figure.get_size_inches()[0]
    narrow = width < (WIDE + NARROW) / 2
    low, high = extent(ridges, 72 * width)
    for index, ridge in enumerate(ridges):
        draw_ridge(axes, ridge, len(ridges) - 1 - index, (low, high), narrow)
    draw_thresholds(axes, {name: value for name, value in limits.items() if low < value < high}, narrow)
    axes.set(xlim=(low, high), ylim=(-0.3, len(ridges)), xlabel="similarity (cosine)", yticks=[])
    only_grid(axes, "x")


def draw_thresholds(axes: Axes, limits: dict[str, float], narrow: bool) -> None:
    """Dashed lines with their names above, one line of text each, so that close ones stay readable."""
    for level, (name, value) in enumerate(sorted(limits.items(), key=lambda item: item[1])):
        axes.axvline(value, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.annotate(
            f"{value:.2f}" if narrow else f"{name} {value:.2f}",
            (value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3 + 10 * (len(limits) - 1 - level)),
            textcoords="offset points",
            fontsize=7.5,
            color=QUIET,
        )


def draw_ridge(axes: Axes, ridge: Ridge, base: int, extent: tuple[float, float], narrow: bool) -> None:
    """One density on its own line."""
    grid = np.linspace(*extent, 160)
    if ridge.rows is not None and len(ridge.rows):
        height = density(ridge.rows, grid)
        axes.fill_between(grid, base, base + height, color=ridge.colour, alpha=0.22, linewidth=0)
        axes.plot(grid, base + height, color=ridge.colour, linewidth=1.4)
    axes.axhline(base, color=LINE, linewidth=0.8)
    if ridge.mean is not None and ridge.top is not None:
        axes.plot(
            [ridge.mean, ridge.top], [base, base], color=ridge.colour, linewidth=3, solid_capstyle="round"
        )
        axes.plot(ridge.top, base, "o", color=ridge.colour, markersize=5)
    axes.annotate(
        ridge.label,
        (0, base),
        xycoords=("axes fraction", "data"),
        xytext=(2, 4),
        textcoords="offset points",
        fontsize=8,
        color=INK if ridge.colour != QUIET else QUIET,
    )


def density(rows: Rows, grid: Rows) -> Rows:
    """A Gaussian density of at most 0.85 height; a histogram first, so that many rows cost no more than few."""
    step = grid[1] - grid[0]
    edges = np.append(grid - step / 2, grid[-1] + step / 2)
    counts = np.histogram(rows, edges)[0].astype(float)
    width = max(1.06 * float(rows.std()) * len(rows) ** -0.2, 1.5 * step)
    offsets = (grid - grid[len(grid) // 2]) / width
    smooth: Rows = np.convolve(counts, np.exp(-0.5 * offsets**2), mode="same")
    return 0.85 * smooth / max(float(smooth.max()), 1e-9)


def extent(ridges: list[Ridge], points: float) -> tuple[float, float]:
    """The range of all similarities, with room for the labels on the left of a picture so many points wide."""
    ends = [
        end
        for r in ridges
        if r.rows is not None and len(r.rows)
        for end in np.percentile(r.rows, [0.5, 99.9])
    ]
    ends += [end for r in ridges for end in (r.mean, r.top) if end is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = max(high - low, 0.1)
    labels = min(LETTER * max((len(r.label) for r in ridges), default=0) / points, MOST_FOR_LABELS)
    return low - room * labels / (1 - labels), min(high + 0.06 * room, 1.02)
