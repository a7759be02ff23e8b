"""What the page's template is given: plain dictionaries made from boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from reports.cells import ROLE_WORDS, Cell, cell, facts, label_text, rank_text, remarks, seeds_text
from reports.columns import ARROWS, WORDS, Column
from reports.figures.all import Pictures
from reports.figures.style import NEUTRAL, SERIES, Picture, looks
from reports.leaderboard import BoardTable, Row
from reports.summary import statements

GROUPS = {"compared": "against others"}
TAGS = {"control": "control", "reference": "reference", "reported": "reported", "method": ""}
LONGEST_REASON = 46


def board_view(table: BoardTable, drawn: Pictures) -> dict[str, Any]:
    """One board with its pictures."""
    tints = tints_of(table)
    return {
        "id": table.board.id,
        "title": table.board.title,
        "facts": facts(table),
        "statements": statements(table),
        "sort": table.column(table.sort).title,
        "sort_key": table.sort,
        "spans": [(GROUPS.get(g, g), len(list(m))) for g, m in groupby(table.columns, lambda c: c.group)],
        "columns": [column_view(column) for column in table.columns],
        "rows": [row_view(table, row, tints) for row in table.rows],
        "reasons": table.reasons,
        "notes": remarks(table),
        "claims": [claim_view(table, index) for index in range(len(table.claims))],
        "labels": [label_text(row) for row in table.measured],
        "all_rows": [line_view(table, column) for column in table.all_columns],
        "pictures": [picture_view(picture, f"{table.board.id}-{i}") for i, picture in enumerate(drawn.drawn)],
        "absent": drawn.absent,
    }


def tints_of(table: BoardTable) -> dict[str, str]:
    """The class that colours a row, by label; empty for the neutral reference."""
    return {
        label: "" if look.colour == NEUTRAL else f"c{SERIES.index(look.colour)}"
        for label, look in looks(table).items()
    }


def column_view(column: Column) -> dict[str, Any]:
    """A header."""
    return {
        "key": column.key,
        "title": column.title,
        "unit": column.unit,
        "better": column.better,
        "arrow": ARROWS[column.better],
        "words": WORDS[column.better],
        "about": column.about,
    }


def row_view(table: BoardTable, row: Row, tints: Mapping[str, str]) -> dict[str, Any]:
    """A row."""
    return {
        "label": row.label,
        "role": row.role,
        "tag": TAGS[row.role],
        "why": row.why or ROLE_WORDS[row.role],
        "front": ", ".join(table.column(name).title for name in row.front),
        "rank": rank_text(row),
        "seeds": seeds_text(row),
        "tint": tints.get(row.label, ""),
        "cells": [cell_view(table, row, column, tints) for column in table.columns],
    }


def cell_view(table: BoardTable, row: Row, column: Column, tints: Mapping[str, str]) -> dict[str, Any]:
    """A cell; ``raw`` is the number in full precision."""
    found = cell(table, row, column)
    drawn = column.key == "R" and row.role != "reported"
    return {
        "key": column.key,
        **number_view(found),
        "footnote": found.footnote,
        "verdict": found.verdict,
        "mark": found.mark,
        "range": range_view(table, row, tints.get(row.label, "")) if drawn else "",
    }


def number_view(found: Cell) -> dict[str, Any]:
    """A number with its interval, or why there is none."""
    reason = found.value.reason or ""
    return {
        "text": found.text,
        "interval": found.interval,
        "raw": None if found.value.value is None else repr(found.value.value),
        "reason": reason,
        "short_reason": reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…",
    }


def range_view(table: BoardTable, row: Row, tint: str) -> Markup | str:
    """R on a line from the floor to the ceiling, where both were measured."""
    value = row.values["R"]
    ends = [row.values[name].value for name in ("floor_95pc", "ceiling_95pc") if name in row.values]
    if value.value is None or len(ends) < 2 or ends[0] is None or ends[1] is None or ends[1] <= ends[0]:
        return ""
    low, high = ends[0], ends[1]
    shown = [value.value, *(value.value if end is None else end for end in (value.low, value.high))]
    at, first, last = (100 * min(max((end - low) / (high - low), 0), 1) for end in shown)
    return Markup(
        '<svg class="range {}" viewBox="0 0 100 12" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="track" d="M0 6H100"/><path class="end" d="M0 1V11M100 1V11"/>'
        '<path class="span" d="M{:.1f} 6H{:.1f}"/><rect class="at" x="{:.1f}" y="1.5" width="3" height="9"/></svg>'
    ).format(tint, f"{at:.0f} % of the way from floor to ceiling", first, last, max(at - 1.5, 0))


def line_view(table: BoardTable, column: Column) -> dict[str, Any]:
    """One measurement of all rows."""
    cells = [number_view(cell(table, row, column)) for row in table.measured]
    return {"key": column.key, "title": column.header, "unit": "", "about": column.about, "cells": cells}


def claim_view(table: BoardTable, index: int) -> dict[str, str]:
    """A printed claim in one reading."""
    claim, column = table.claims[index], table.column("reduction")
    measured = column.text(claim.measured)
    interval = column.interval(claim.measured)
    return {
        "method": claim.method,
        "text": claim.text,
        "reading": claim.reading,
        "measured": f"{measured} % {interval}".strip() if claim.measured.value is not None else measured,
        "verdict": claim.verdict,
    }


def picture_view(picture: Picture, prefix: str) -> dict[str, Any]:
    """A picture in both widths."""
    return {
        "title": picture.title,
        "caption": picture.caption,
        "alt": picture.alt,
        "wide": Markup(picture.inline(f"w{prefix}")),
        "narrow": Markup(picture.inline(f"n{prefix}", narrow=True)),
    }


def glossary(tables: Sequence[BoardTable]) -> list[dict[str, str]]:
    """Every number of the page that has an explanation; numbers that share one stand together."""
    columns = {column.key: column for table in tables for column in table.all_columns}
    titles: dict[tuple[str, str], list[str]] = {}
    for column in columns.values():
        if column.about:
            titles.setdefault((column.about, WORDS[column.better]), []).append(column.title)
    return [
        {"title": ", ".join(dict.fromkeys(names)), "about": about, "words": words}
        for (about, words), names in titles.items()
    ]
