"""Leaderboards in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement as Width
from rich.table import Table as Grid
from rich.text import Text

from reports.cells import Cell, cells, facts, label_text, notes, rank_text, seeds_text
from reports.columns import Column
from reports.leaderboard import BoardTable

TITLE_WIDTH = 24
STYLES = {"method": "", "reference": "", "control": "dim", "reported": "italic"}


def render(tables: Sequence[BoardTable]) -> RenderableType:
    """Every board with its facts and notes."""
    return Group(*(render_board(table) for table in tables))


def render_board(table: BoardTable) -> RenderableType:
    """One board: wide where it fits, else turned on its side, else with the first of its columns."""
    about = " · ".join(f"{name} {value}" for name, value in facts(table))
    return Group(
        Text(table.board.title, "bold"),
        Text(about, "dim"),
        Fitting(table),
        Text(),
    )


@dataclass(frozen=True)
class Fitting:
    """A board in the first form that the terminal has room for, and its notes; no number is ever cut or left out."""

    table: BoardTable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=10_000)

        def fits(grid: Grid) -> bool:
            return Width.get(console, unbounded, grid).maximum <= options.max_width

        if fits(whole := wide(self.table, self.table.columns)):
            yield from (whole, plain(*notes(self.table)))
        elif fits(turned := narrow(self.table)):
            yield from (turned, plain(*notes(self.table, self.table.measured)))
        else:
            yield from pieces(self.table, fits)
            yield plain(*notes(self.table))


def pieces(table: BoardTable, fits: Callable[[Grid], bool]) -> Iterator[Grid]:
    """Tables of all rows below each other, each with as many of the columns as fit, at least one."""
    columns = list(table.columns)
    while columns:
        counts = range(len(columns), 1, -1)
        count = next((count for count in counts if fits(wide(table, columns[:count]))), 1)
        yield wide(table, columns[:count])
        del columns[:count]


def wide(table: BoardTable, columns: Sequence[Column]) -> Grid:
    """Rows down, columns across."""
    grid = new_grid()
    grid.add_column("#", justify="right")
    grid.add_column("method")
    grid.add_column("seeds", justify="right")
    for column in columns:
        below = column.header.removeprefix(column.title).strip()
        grid.add_column(plain(column.title, below), justify="right", no_wrap=True)
    for row in table.rows:
        found = [two_lines(cell) for cell in cells(table, row, columns)]
        lead = [rank_text(row), label_text(row), seeds_text(row)]
        grid.add_row(*map(plain, lead), *found, style=STYLES[row.role])
    return grid


def narrow(table: BoardTable) -> Grid:
    """Columns down, measured rows across; what papers print stands in the notes alone."""
    grid = new_grid()
    grid.add_column("", max_width=TITLE_WIDTH)
    rows = table.measured
    found = [cells(table, row, table.columns) for row in rows]
    for row in rows:
        rank = f"{rank_text(row)} " if row.rank else ""
        grid.add_column(plain(rank + label_text(row)), justify="right", style=STYLES[row.role])
    grid.add_row("seeds", *(plain(seeds_text(row)) for row in rows))
    for index, column in enumerate(table.columns):
        grid.add_row(plain(column.header), *(two_lines(line[index]) for line in found))
    return grid


def two_lines(cell: Cell) -> Text:
    """The number, and below it the interval."""
    footnote = f" [{cell.footnote}]" if cell.footnote else ""
    first = " ".join(filter(None, (cell.text + footnote, cell.mark)))
    return plain(first, cell.interval) if cell.interval else plain(first)


def new_grid(title: str = "") -> Grid:
    """An empty table in the style of this project."""
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    grid.title = Text(title) if title else None
    return grid


def plain(*lines: str) -> Text:
    """Lines shown as they are: no markup is read, and no control character reaches the terminal."""
    return Text("\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines))
