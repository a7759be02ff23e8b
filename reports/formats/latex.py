"""Leaderboards as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reports.cells import Cell, cells, label_text, notes, rank_text, seeds_text
from reports.columns import Column
from reports.formats.text import one_line
from reports.leaderboard import BoardTable

WIDEST = 7  # columns beside each other
FIT = (
    r"\providecommand{\fit}[1]{\sbox0{#1}"
    r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}"
)
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
    "◇": r"$\diamond$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "·": r"$\cdot$",
}


def in_latex(text: str) -> str:
    """Plain text that LaTeX shows as it is; letters outside Latin are shown as '?', since fonts lack them."""
    return "".join(LATEX.get(c, c if ord(c) < 0x250 else "?") for c in one_line(text))


def latex(tables: Sequence[BoardTable]) -> str:
    """A document that compiles as it is; each table can be cut out of it."""
    head = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{amssymb}",
        r"\usepackage{graphicx}",
        r"\usepackage[a4paper,landscape,margin=1cm]{geometry}",
        r"\begin{document}",
    ]
    return "\n".join([*head, *map(latex_board, tables), r"\end{document}", ""])


def latex_board(table: BoardTable) -> str:
    """One board: a table for every few groups of columns, so that numbers stay legible, and its notes."""
    parts = [latex_part(table, columns) for columns in parts_of(table.columns)]
    # a line break before '[' would take it for a length
    below = [in_latex(note) + r"\par" for note in notes(table)]
    return "\n".join([*parts, r"\begin{flushleft}\footnotesize", *below, r"\end{flushleft}"])


def parts_of(columns: Sequence[Column]) -> list[list[Column]]:
    """The columns in their order, cut between two groups where more than ``WIDEST`` would stand beside each other."""
    found: list[list[Column]] = [[]]
    for _, members in groupby(columns, lambda column: column.group):
        group = list(members)
        if found[-1] and len(found[-1]) + len(group) > WIDEST:
            found.append([])
        found[-1] += group
    return found


def latex_part(table: BoardTable, columns: Sequence[Column]) -> str:
    """Some columns of all rows, scaled down only where they are wider than the text."""
    groups = ", ".join(dict.fromkeys(column.group for column in columns))
    lines = [
        r"\begin{table}[htp]\centering\small",
        FIT,
        rf"\caption{{{in_latex(f'{table.board.title}: {groups}')}}}",
        r"\fit{%",
        rf"\begin{{tabular}}{{rlr{'r' * len(columns)}}}",
        r"\hline",
        latex_line(["", "method", "seeds", *(column.title for column in columns)]),
        latex_line(["", "", "", *(column.header.removeprefix(column.title).strip() for column in columns)]),
        r"\hline",
    ]
    for row in table.rows:
        label = in_latex(label_text(row))
        label = rf"\textit{{{label}}}" if row.role in ("reported", "control") else label
        found = [latex_cell(cell) for cell in cells(table, row, columns)]
        lines.append(latex_line([rank_text(row), label, seeds_text(row), *found], plain=False))
    return "\n".join([*lines, r"\hline", r"\end{tabular}}", r"\end{table}"])


def latex_line(parts: Sequence[str], plain: bool = True) -> str:
    """Cells between ampersands."""
    return (
        " & ".join(in_latex(part) if plain else part.replace("\N{EN DASH}", "--") for part in parts) + r" \\"
    )


def latex_cell(cell: Cell) -> str:
    """A number with its interval, its verdict and its footnote."""
    footnote = rf"\textsuperscript{{{cell.footnote}}}" if cell.footnote else ""
    return " ".join(
        filter(None, (in_latex(cell.text) + footnote, in_latex(cell.interval), in_latex(cell.mark)))
    )
