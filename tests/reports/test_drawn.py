"""What stands on the axes of the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_results import make_result
from matplotlib.figure import Figure

from reports.board import Leaderboard
from reports.collect import Run
from reports.figures import distributions, duplication, scatter
from reports.figures.style import Picture
from reports.grouping import make_boards
from reports.leaderboard import BoardTable


def test_dollar_signs_in_a_name_are_text() -> None:
    def draw(figure: Figure) -> None:
        figure.add_subplot().set_title(r"loyal (a $x_{$ b)")

    assert b"loyal (a $x_{$ b)" in Picture("p", "", "", "", 2, draw).files["svg"]


def test_the_front_is_a_line_through_filled_markers_and_leaves_controls_out() -> None:
    values = {"none": (0.6, 0.001), "loyal": (0.5, 0.002), "wen": (0.55, 0.003), "dual": (0.4, 0.0005)}
    results = [
        make_result(method, values={"R": r, "kd_heldout": q}, paper="" if method == "dual" else "a paper")
        for method, (r, q) in values.items()
    ]
    (board,) = make_boards([Run(result, Path("/nowhere")) for result in results])
    picture, *_ = scatter.tradeoffs(BoardTable(board))
    figure = Figure()
    picture.draw(figure)
    (axes,) = figure.axes
    front = next(line for line in axes.lines if not str(line.get_gid()).startswith("point-"))
    assert sorted(map(tuple, front.get_xydata())) == [(0.5, 0.002), (0.6, 0.001)]
    faces = {str(line.get_gid()): line.get_markerfacecolor() for line in axes.lines}
    hollow = {name for name, face in faces.items() if face == "none" and name.startswith("point-")}
    assert hollow == {"point-wen", "point-dual"}
    spans = [tuple(map(tuple, path)) for found in axes.collections for path in found.get_segments()]
    assert ((pytest.approx(0.48), 0.002), (pytest.approx(0.52), 0.002)) in spans  # the interval of R of loyal


def test_thresholds_anchors_and_duplication_are_drawn_from_the_runs(runs: Path) -> None:
    (table,) = Leaderboard().tables([runs])
    figure = Figure()
    distributions.picture(table).draw(figure)
    (axes,) = figure.axes
    upright = {float(x[0]) for line in axes.lines if len(set(x := list(line.get_xdata()))) == 1 < len(x)}
    assert upright >= {0.5, 0.75, 0.4612}
    texts = {text.get_text() for text in axes.texts}
    assert texts >= {"none", "loyal", "dual", "floor", "background", "ceiling"}
    drawn = duplication.picture(table)
    assert drawn is not None
    figure = Figure()
    drawn.draw(figure)
    curves = {str(line.get_label()): line for line in figure.axes[0].lines if line.get_linestyle() == "-"}
    assert curves.keys() >= {"none", "loyal"}
    for group in table.board.groups:
        repeated, copied = duplication.joined(group)
        x, y = curves[group.label].get_data()
        assert min(repeated) <= min(x) <= max(x) <= max(repeated)
        assert sum(y) / len(y) == pytest.approx(sum(copied) / len(copied), abs=0.02)
