"""Are images that the training set repeats copied more?"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from reports.boards import Group
from reports.figures.distributions import read_anchors
from reports.figures.style import NARROW, Picture, looks, prominent
from reports.leaderboard import BoardTable

MOST_POINTS, BINS, LEAST = 1500, 8, 8
WITHIN = 4  # so many curves have their legend inside the axes
OTHERS = " Only the best rows are drawn, and those that still have their matches."


class Curve(NamedTuple):
    """The training images of one row: how repeated each is, and how close a generation comes to it."""

    label: str
    colour: str
    marker: str
    repeated: np.ndarray
    copied: np.ndarray


def picture(table: BoardTable) -> Picture | None:
    """Highest similarity of a generation over similarity to the nearest other training image.

    None where no run kept the similarities of the background.
    """
    look, named = looks(table), prominent(table)
    curves = [
        Curve(g.label, look[g.label].colour, look[g.label].marker, *found)
        for g in table.board.groups
        if g.label in named and (found := joined(g)) is not None
    ]
    if not curves:
        return None
    others = "" if len(curves) == len(table.board.groups) else OTHERS
    told = [f"{c.label}: rank correlation {correlation(c):.2f}" for c in curves]
    return Picture(
        "duplication",
        "Repeated training images against copying",
        "Each point is a training image that every seed's matches name. Right: another training image is very like it. "
        "Up: a generated image comes close to it, mean over seeds. "
        f"Lines are means over equally large parts.{others}",
        f"Similarity of training images to their nearest other one, and to the closest generation. {'; '.join(told)}.",
        3.6,
        partial(draw, curves=curves),
    )


def joined(group: Group) -> tuple[np.ndarray, np.ndarray] | None:
    """Background similarity, and the highest similarity of a match in a seed, mean over seeds, of each training image.

    An image that no match of some seed names is left out: its closest generation there is not known.
    """
    anchors = next((t for run in group.runs if (t := read_anchors(run.folder)) is not None), None)
    if anchors is None or not group.matches:
        return None
    background = anchors[anchors["set"] == "background"].set_index("id")["similarity"]
    seeds = [matches.groupby("train")["similarity"].max() for matches in group.matches.values()]
    copied = pd.concat(seeds, axis=1).mean(axis=1, skipna=False)
    both = pd.concat([background, copied], axis=1, keys=["repeated", "copied"]).dropna()
    return (both["repeated"].to_numpy(), both["copied"].to_numpy()) if len(both) >= LEAST else None


def correlation(curve: Curve) -> float:
    """Spearman's rank correlation; 0 where one side does not vary."""
    if np.ptp(curve.repeated) == 0 or np.ptp(curve.copied) == 0:
        return 0.0
    return float(spearmanr(curve.repeated, curve.copied).statistic)


def draw(figure: Figure, curves: list[Curve]) -> None:
    """Points where there are few enough, and the mean in each of some equally large parts."""
    axes = figure.add_subplot()
    few = sum(len(curve.repeated) for curve in curves) <= MOST_POINTS
    for curve in curves:
        if few:
            axes.plot(
                curve.repeated,
                curve.copied,
                curve.marker,
                color=curve.colour,
                alpha=0.3,
                markersize=3,
                linewidth=0,
            )
        parts = np.array_split(np.argsort(curve.repeated, kind="stable"), min(BINS, len(curve.repeated) // 4))
        xs = [float(curve.repeated[part].mean()) for part in parts]
        ys = [float(curve.copied[part].mean()) for part in parts]
        axes.plot(xs, ys, "-", color=curve.colour, label=curve.label)
    axes.set(xlabel="similarity to the nearest other training image", ylabel="closest generation (cosine)")
    if len(curves) <= WITHIN:
        axes.legend(fontsize=8, loc="best", labelcolor="linecolor")
    else:
        figure.legend(fontsize=8, loc="outside lower left", labelcolor="linecolor", ncols=columns(figure))


def columns(figure: Figure) -> int:
    """Columns of a legend below the axes: one on a phone."""
    return max(1, int(figure.get_size_inches()[0] // NARROW))
