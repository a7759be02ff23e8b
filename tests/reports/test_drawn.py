"""What stands on the axes of the pictures."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.figures.style import Picture


def test_dollar_signs_in_a_name_are_text() -> None:
    def draw(figure: Figure) -> None:
        figure.add_subplot().set_title(r"loyal (a $x_{$ b)")

    assert b"loyal (a $x_{$ b)" in Picture("p", "", "", "", 2, draw).files["svg"]
