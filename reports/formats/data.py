"""Leaderboards as JSON and CSV, in full precision."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reports.catalogue import about
from reports.cells import notes
from reports.leaderboard import PRINTED, BoardTable, Row
from reports.values import Value

WORDS = ("board", "rank", "label", "method", "role", "why", "against", "against_best")


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
        "against": row.against[0],
        "against_best": row.against[1],
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
    head = [*WORDS, "seeds", "front"]
    ends = [name for key in keys for name in (key, f"{key}_low", f"{key}_high")]
    verdicts = ["reduction_verdict", "reduction_floor_verdict", "reduction_best_verdict"]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*head, *ends, *verdicts, "missing"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(csv_row(found) for found in records(tables))
    return file.getvalue()


def csv_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """A record as one flat line."""
    line = {key: safe(found[key]) for key in WORDS}
    line |= {key: " ".join(map(str, found[key])) for key in ("seeds", "front")}
    for key, value in found["values"].items():
        line |= {key: value["value"], f"{key}_low": value.get("low"), f"{key}_high": value.get("high")}
    line |= {f"{key}_verdict": word for key, word in found["verdicts"].items()}
    return line | {"missing": safe(missing_in(found))}


def missing_in(found: Mapping[str, Any]) -> str:
    """Which values are missing and why; of a printed row nearly all are, for one reason."""
    if found["role"] == "reported":
        return f"all other columns: {PRINTED}"
    reasons = {key: value["reason"] for key, value in found["values"].items() if "reason" in value}
    return "; ".join(f"{key}: {reason}" for key, reason in reasons.items())


def safe(text: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if isinstance(text, str) and text[:1] in tuple("=+-@\t\r") else text
