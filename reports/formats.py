"""Leaderboards as Markdown, CSV, LaTeX and JSON; all from the same rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reports.catalogue import about
from reports.cells import Cell, cells, facts, label_text, notes, rank_text, seeds_text
from reports.leaderboard import BoardTable, Row
from reports.values import Value

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
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "·": r"$\cdot$",
}
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


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def in_markdown(text: str) -> str:
    """Plain text that Markdown and HTML show as it is."""
    return "".join(MARKDOWN.get(c, c) for c in one_line(text))


def in_latex(text: str) -> str:
    """Plain text that LaTeX shows as it is; letters outside Latin are shown as '?', since fonts lack them."""
    return "".join(LATEX.get(c, c if ord(c) < 0x250 else "?") for c in one_line(text))


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
    """One board as a table that is as wide as the text."""
    columns = table.columns
    lines = [
        r"\begin{table}[p]\centering",
        rf"\caption{{{in_latex(table.board.title)}}}",
        r"\resizebox{\linewidth}{!}{%",
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
    lines += [r"\hline", r"\end{tabular}}", r"\begin{flushleft}\footnotesize"]
    lines += [
        in_latex(note) + r"\par" for note in notes(table)
    ]  # a line break before '[' would take it for a length
    return "\n".join([*lines, r"\end{flushleft}", r"\end{table}"])


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


def records(tables: Sequence[BoardTable]) -> list[dict[str, Any]]:
    """Every row with every measurement, in full precision."""
    return [record(table, row) for table in tables for row in table.rows]


def record(table: BoardTable, row: Row) -> dict[str, Any]:
    """One row as plain values."""
    return {
        "board": table.board.id,
        "rank": row.rank,
        "method": row.method,
        "label": row.label,
        "role": row.role,
        "why": row.why,
        "seeds": list(row.seeds),
        "front": list(row.front),
        "values": {column.key: plain(row.values[column.key]) for column in table.all_columns},
        "verdicts": dict(row.verdicts),
    }


def plain(value: Value) -> dict[str, Any]:
    """A value without its empty fields, but always with ``value``."""
    return {key: part for key, part in value._asdict().items() if key == "value" or part is not None}


def as_json(tables: Sequence[BoardTable]) -> str:
    """Boards, columns, rows and claims."""
    found = {"schema_version": 1, "boards": [json_board(table) for table in tables]}
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def json_board(table: BoardTable) -> dict[str, Any]:
    """One board."""
    columns = [
        {
            "key": c.key,
            "title": c.title,
            "unit": c.unit,
            "better": c.better,
            "scale": c.scale,
            "about": about(c.key),
        }
        for c in table.all_columns
    ]
    claims = [claim.__dict__ | {"measured": plain(claim.measured)} for claim in table.claims]
    return {
        "id": table.board.id,
        "title": table.board.title,
        **table.board.parts,
        "reference": table.reference,
        "sort": table.sort,
        "columns": columns,
        "rows": records([table]),
        "claims": claims,
        "notes": notes(table),
    }


def as_csv(tables: Sequence[BoardTable]) -> str:
    """One line a row; a missing value is empty and its reason stands in ``missing``."""
    keys = list(dict.fromkeys(column.key for table in tables for column in table.all_columns))
    head = ["board", "rank", "label", "method", "role", "why", "seeds"]
    ends = [name for key in keys for name in (key, f"{key}_low", f"{key}_high")]
    verdicts = ["reduction_verdict", "reduction_floor_verdict", "reduction_best_verdict"]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*head, *ends, *verdicts, "missing"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(csv_row(found) for found in records(tables))
    return file.getvalue()


def csv_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """A record as one flat line."""
    line = {key: safe(found[key]) for key in ("board", "rank", "label", "method", "role", "why")}
    line["seeds"] = " ".join(map(str, found["seeds"]))
    for key, value in found["values"].items():
        line |= {key: value["value"], f"{key}_low": value.get("low"), f"{key}_high": value.get("high")}
    line |= {f"{key}_verdict": word for key, word in found["verdicts"].items()}
    reasons = {
        key: v["reason"]
        for key, v in found["values"].items()
        if "reason" in v and found["role"] != "reported"
    }
    return line | {"missing": safe("; ".join(f"{key}: {reason}" for key, reason in reasons.items()))}


def safe(text: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if isinstance(text, str) and text[:1] in tuple("=+-@\t\r") else text


FORMATS: Mapping[str, Callable[[Sequence[BoardTable]], str]] = {
    "md": markdown,
    "csv": as_csv,
    "tex": latex,
    "json": as_json,
}
