"""Names beside the points of a picture, placed so that none covers another or a marker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple

from matplotlib.axes import Axes

from reports.figures.style import INK, LETTER, QUIET

LINE_STEP = 11.0  # points, like all lengths here: the height of a name
FARTHEST = 4 * LINE_STEP
LEADER = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
MARKER, ASIDE = 3.5, 7.0  # half a marker's width, and from its middle to its name


class Box(NamedTuple):
    """A rectangle in points of the page."""

    left: float
    right: float
    low: float
    high: float

    def meets(self, other: Box) -> bool:
        """Whether both share some of the page."""
        across = self.left < other.right and other.left < self.right
        return across and self.low < other.high and other.low < self.high

    def distance(self, x: float, y: float) -> float:
        """From its edge to a point; 0 inside."""
        return hypot(max(self.left - x, 0, x - self.right), max(self.low - y, 0, y - self.high))


def name_points(
    axes: Axes,
    points: Sequence[tuple[float, float, str]],
    lines: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Write names beside points, on the side and at the height where they cover no marker, no name and no line.

    A name stands nearer to its own point than to any other where there is room for that. One that had to move away, or
    that stands nearer to another point, is joined to its own by a line; one that finds no room near it is left out.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only then are the axes where they will be
    points_a_pixel = 72 / figure.dpi
    placed = axes.transData.transform([(x, y) for x, y, _ in points]) * points_a_pixel
    room = axes.get_window_extent()
    sides = room.x0 * points_a_pixel, room.x1 * points_a_pixel
    taken = [Box(x - MARKER, x + MARKER, y - MARKER, y + MARKER) for x, y in placed]
    for line in lines:
        taken += along([(x, y) for x, y in axes.transData.transform(line) * points_a_pixel])
    for (x, y, name), at in sorted(zip(points, placed, strict=True), key=lambda both: both[0][1]):
        others = [other for other in placed if tuple(other) != tuple(at)]
        found = free_place(at[0], at[1], LETTER * len(name), sides, taken, others)
        if found is None:
            continue
        right, shift, box = found
        taken.append(box)
        joined = shift != LINE_STEP / 2 or not nearest(box, at[0], at[1], others)
        axes.annotate(
            name,
            (x, y),
            xytext=(-ASIDE if right else ASIDE, shift),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=8,
            color=INK,
            arrowprops=LEADER if joined else None,
        ).set_in_layout(False)


def along(corners: Sequence[tuple[float, float]]) -> list[Box]:
    """Small boxes on a line through these corners, close enough that no name fits between two."""
    found = []
    for (x, y), (to_x, to_y) in pairwise(corners):
        count = int(hypot(to_x - x, to_y - y) / MARKER) + 1
        for step in range(count + 1):
            at_x, at_y = x + (to_x - x) * step / count, y + (to_y - y) * step / count
            found.append(Box(at_x - 1, at_x + 1, at_y - 1, at_y + 1))
    return found


def free_place(
    x: float,
    y: float,
    long: float,
    sides: tuple[float, float],
    taken: Sequence[Box],
    others: Sequence[Sequence[float]] = (),
) -> tuple[bool, float, Box] | None:
    """Where a name of length ``long`` has room: whether left of the point, how far above it, and its box.

    ``sides`` are the picture's left and right ends, ``others`` the other points. Places nearer to the own point than to
    any other come first; then its inner side and the nearest height.
    """
    free = list(free_places(x, y, long, sides, taken))
    return next((place for place in free if nearest(place[2], x, y, others)), free[0] if free else None)


def free_places(
    x: float, y: float, long: float, sides: tuple[float, float], taken: Sequence[Box]
) -> Iterator[tuple[bool, float, Box]]:
    """Every place of a name beside its point that is inside and free, the inner side and the nearest height first."""
    beyond = x > sides[0] + 0.6 * (sides[1] - sides[0])
    steps = range(1, int(FARTHEST / LINE_STEP) + 1)
    shifts = [LINE_STEP / 2, *(sign * (LINE_STEP * step) for step in steps for sign in (1, -1))]
    for shift in shifts:
        for right in (beyond, not beyond):
            start = x - ASIDE - long if right else x + ASIDE
            box = Box(start, start + long, y + shift - LINE_STEP / 2, y + shift + LINE_STEP / 2)
            inside = box.left >= sides[0] and box.right <= sides[1]
            if inside and not any(box.meets(other) for other in taken):
                yield right, shift, box


def nearest(box: Box, x: float, y: float, others: Sequence[Sequence[float]]) -> bool:
    """Whether no other point is as near to a name as its own, with room to see it."""
    own = box.distance(x, y) + ASIDE / 2
    return all(own < box.distance(at_x, at_y) for at_x, at_y in others)
