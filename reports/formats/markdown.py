"""Leaderboards as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.cells import Cell, cells, facts, label_text, notes, rank_text, seeds_text
from reports.formats.text import one_line
from reports.leaderboard import BoardTable

MARKDOWN = {
    "\\": r"\\",
    "|": r"\|",
    "<": "&lt;",
    ">": "&gt;",
    "*": r"\*",
    "_": r"\_",
    "`": r"\`",
    "[": r"\[",
    "]": r"\]",
}


def in_markdown(text: str) -> str:
    """Plain text that Markdown and HTML show as it is."""
    return "".join(MARKDOWN.get(c, c) for c in one_line(text))


def markdown(tables: Sequence[BoardTable]) -> str:
    """Every board as a Markdown table with its notes."""
    return "\n".join(markdown_board(table) for table in tables)


def markdown_board(table: BoardTable) -> str:
    """One board."""
    header = ["#", "method", "seeds", *(column.header for column in table.columns)]
    lines = [f"## {in_markdown(table.board.title)}", ""]
    lines += [", ".join(f"{name} {in_markdown(value)}" for name, value in facts(table)), ""]
    lines += [markdown_line(header), markdown_line(["--:", ":--", *["--:"] * (len(header) - 2)], str)]
    for row in table.rows:
        found = [markdown_cell(cell) for cell in cells(table, row, table.columns)]
        label = in_markdown(label_text(row))
        label = f"*{label}*" if row.role in ("reported", "control") else label
        lines.append(markdown_line([rank_text(row), label, seeds_text(row), *found], str))
    return "\n".join([*lines, "", *(f"- {in_markdown(note)}" for note in notes(table)), ""])


def markdown_line(parts: Sequence[str], escape: Callable[[str], str] = in_markdown) -> str:
    """Cells between bars."""
    return f"| {' | '.join(escape(part) for part in parts)} |"


def markdown_cell(cell: Cell) -> str:
    """A number with its interval, its verdict and its footnote."""
    footnote = f"<sup>[{cell.footnote}]</sup>" if cell.footnote else ""
    return " ".join(filter(None, (in_markdown(cell.text) + footnote, in_markdown(cell.interval), cell.mark)))
