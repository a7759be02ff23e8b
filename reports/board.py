"""The reporter ``leaderboard``: results -> tables in the terminal or as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType

from replication_bench.errors import ConfigError, did_you_mean
from reports.collect import collect
from reports.formats import FORMATS
from reports.grouping import make_boards
from reports.leaderboard import BoardTable
from reports.terminal import render


class Leaderboard:
    """The reporter ``leaderboard``."""

    def tables(
        self, paths: Sequence[str | Path], *, reference: str = "none", sort: str = "R", together: bool = False
    ) -> list[BoardTable]:
        """One table for each board among the results behind ``paths``.

        Raises:
            DataError: no results, or broken ones.
            ConfigError: an unknown ``sort``; unlike boards that were to stand ``together``.
        """
        boards = make_boards(collect(paths).runs, together)
        return [BoardTable(board, reference, sort) for board in boards]

    def render(self, tables: Sequence[BoardTable]) -> RenderableType:
        """For a rich console."""
        return render(tables)

    def text(self, tables: Sequence[BoardTable], form: str) -> str:
        """As ``md``, ``csv``, ``tex`` or ``json``.

        Raises:
            ConfigError: another format.
        """
        if form not in FORMATS:
            raise ConfigError(f"unknown format '{form}'", where="--format", hint=did_you_mean(form, FORMATS))
        return FORMATS[form](tables)
