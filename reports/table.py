"""The reporter ``table``: what a run shows at its end, the leaderboard of its results and their anchors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType

from reports.anchors import anchors
from reports.board import Leaderboard
from reports.terminal import render


class Table:
    """The reporter ``table``."""

    def show(self, folders: Sequence[Path], reference: str = "none") -> RenderableType:
        """Every board of these runs with its notes and anchors, in a form that suits the width it is given.

        Args:
            folders: of finished runs.
            reference: the method that reductions are counted from.

        Raises:
            DataError: a result is missing or broken.
        """
        tables = Leaderboard().tables(folders, reference=reference)
        return Group(render(tables), *(anchors(table.board) for table in tables))
