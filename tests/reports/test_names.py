from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from reports.figures.names import name_points


def named_axes(
    points: list[tuple[float, float, str]], lines: Sequence[Sequence[tuple[float, float]]] = ()
) -> Axes:
    figure = Figure(figsize=(7.4, 3.7), dpi=72)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    name_points(axes, points, lines)
    figure.draw_without_rendering()
    return axes


def drawn(
    points: list[tuple[float, float, str]], lines: Sequence[Sequence[tuple[float, float]]] = ()
) -> tuple[dict[str, Bbox], list[tuple[float, float]]]:
    """Where names lie in pixels of 1/72 inch, and the points."""
    axes = named_axes(points, lines)
    boxes = {text.get_text(): Bbox.from_extents(*text_extents(text)) for text in axes.texts}
    return boxes, [tuple(axes.transData.transform((x, y))) for x, y, _ in points]


def text_extents(text: object) -> tuple[float, float, float, float]:
    from matplotlib.text import Text

    box = Text.get_window_extent(text)  # type: ignore[arg-type]  # an annotation's own holds its line too
    return box.x0, box.y0 + 2, box.x1, box.y1 - 2  # a font's ascent and descent are empty for most letters


CROWD = [
    (0.8, 0.30, "rc"),
    (0.78, 0.31, "none"),
    (0.77, 0.33, "loyal"),
    (0.75, 0.34, "dual"),
    (0.1, 0.9, "augment"),
]


def test_names_cover_neither_names_nor_points() -> None:
    boxes, points = drawn(CROWD)
    assert set(boxes) == {name for *_, name in CROWD}
    assert not [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    covered = [(name, point) for name, point in product(boxes, points) if boxes[name].contains(*point)]
    assert not covered


def test_names_cover_no_line() -> None:
    points = [(0.3, 0.5, "first of all methods"), (0.7, 0.54, "another")]
    line = [(x, y) for x, y, _ in points]
    for lines, crossed in (((), True), ((line,), False)):
        boxes, (start, end) = drawn(points, lines)
        path = Path([start, end])
        assert any(path.intersects_bbox(box, filled=False) for box in boxes.values()) == crossed


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_names_stay_inside(x: float) -> None:
    boxes, _ = drawn([(x, 0.5, "a long name of a method")])
    (box,) = boxes.values()
    assert box.x0 >= 0
    assert box.x1 <= 7.4 * 72


def test_names_without_room_are_left_out() -> None:
    boxes, _ = drawn([(0.5, 0.5, f"method number {i}") for i in range(30)])
    assert 4 <= len(boxes) < 30


@pytest.mark.parametrize(
    "level",
    [
        [(0.419, 0.501, "dual"), (0.567, 0.522, "loyal"), (0.552, 0.5, "none"), (0.489, 0.536, "rc")],
        [(0.583, 0.548, "dual"), (0.594, 0.506, "loyal"), (0.443, 0.531, "none"), (0.596, 0.527, "rc")],
    ],
)
def test_a_name_stands_nearest_to_its_own_point_or_is_joined_to_it(
    level: list[tuple[float, float, str]],
) -> None:
    boxes, points = drawn(level)
    own = dict(zip((name for *_, name in level), points, strict=True))
    nearest = {name: min(own, key=lambda other: gap(box, own[other])) for name, box in boxes.items()}
    texts = [text for text in named_axes(level).texts if isinstance(text, Annotation)]
    joined = {text.get_text() for text in texts if text.arrow_patch is not None}
    assert set(nearest) == set(own)
    assert [name for name, other in nearest.items() if name != other and name not in joined] == []
    assert joined != set(own)


def gap(box: Bbox, point: tuple[float, float]) -> float:
    """From a box to a point."""
    x, y = point
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
