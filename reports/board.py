"""The reporter ``leaderboard``: results -> tables in the terminal or as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType

from replication_bench import plugins
from replication_bench.errors import ConfigError, did_you_mean
from reports.collect import Collection, collect
from reports.facts import name_of
from reports.formats import FORMATS
from reports.grouping import make_boards
from reports.leaderboard import BoardTable
from reports.terminal import render


def tables_of(
    found: Collection, reference: str, sort: str, columns: Sequence[str] = (), together: bool = False
) -> list[BoardTable]:
    """One table for each board.

    Raises:
        ConfigError: an unknown ``reference``, ``sort`` or column; unlike boards that were to stand ``together``.
    """
    check_reference(found, reference)
    boards = make_boards(found.runs, together)
    return [BoardTable(board, reference, sort, tuple(columns)) for board in boards]


def check_reference(found: Collection, reference: str) -> None:
    """Refuse a reference that no result has and that is no method; one that did not run leaves reductions missing.

    Raises:
        ConfigError: it is neither.
    """
    methods = {name_of(run.result) for run in found.runs}
    if reference not in methods and not set(reference.split("+")) <= plugins.available("methods").keys():
        raise ConfigError(
            f"no method '{reference}' to count reductions from",
            where="--reference",
            hint=did_you_mean(reference, methods),
        )


class Leaderboard:
    """The reporter ``leaderboard``."""

    def tables(
        self,
        paths: Sequence[str | Path],
        *,
        reference: str = "none",
        sort: str = "R",
        columns: Sequence[str] = (),
        together: bool = False,
    ) -> list[BoardTable]:
        """One table for each board among the results behind ``paths``.

        Raises:
            DataError: no results, or broken ones.
            ConfigError: see ``tables_of``.
        """
        return tables_of(collect(paths), reference, sort, columns, together)

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
