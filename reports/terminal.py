"""Leaderboards in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from reports.cells import Cell, cells, facts, label_text, notes, rank_text, seeds_text
from reports.leaderboard import BoardTable
from reports.table import Fitting, plain

STYLES = {"method": "", "reference": "", "control": "dim", "reported": "italic"}


def render(tables: Sequence[BoardTable]) -> RenderableType:
    """Every board with its facts and notes."""
    return Group(*(render_board(table) for table in tables))


def render_board(table: BoardTable) -> RenderableType:
    """One board: wide where it fits, else turned on its side."""
    about = " · ".join(f"{name} {value}" for name, value in facts(table))
    return Group(
        Text(table.board.title, "bold"),
        Text(about, "dim"),
        Fitting(wide(table), narrow(table)),
        plain(*notes(table)),
        Text(),
    )


def header(title: str, *below: str) -> Text:
    """A title with direction and unit on the line below."""
    return plain(title, " ".join(filter(None, below)))


def wide(table: BoardTable) -> Grid:
    """Rows down, columns across."""
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    grid.add_column("#", justify="right")
    grid.add_column("method")
    grid.add_column("seeds", justify="right")
    for column in table.columns:
        below = column.header.removeprefix(column.title).strip()
        grid.add_column(header(column.title, below), justify="right", no_wrap=True)
    for row in table.rows:
        found = [two_lines(cell) for cell in cells(table, row, table.columns)]
        lead = [rank_text(row), label_text(row), seeds_text(row)]
        grid.add_row(*map(plain, lead), *found, style=STYLES[row.role])
    return grid


def narrow(table: BoardTable) -> Grid:
    """Columns down, rows across."""
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    grid.add_column("")
    found = [cells(table, row, table.columns) for row in table.rows]
    for row in table.rows:
        rank = f"{rank_text(row)} " if row.rank else ""
        grid.add_column(plain(rank + label_text(row)), justify="right", style=STYLES[row.role])
    grid.add_row("seeds", *(plain(seeds_text(row)) for row in table.rows))
    for index, column in enumerate(table.columns):
        grid.add_row(plain(column.header), *(two_lines(line[index]) for line in found))
    return grid


def two_lines(cell: Cell) -> Text:
    """The number, and below it the interval."""
    footnote = f" [{cell.footnote}]" if cell.footnote else ""
    first = " ".join(filter(None, (cell.text + footnote, cell.mark)))
    return plain(first, cell.interval) if cell.interval else plain(first)
