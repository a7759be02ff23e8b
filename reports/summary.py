"""The two or three sentences that a reader takes away from a board."""

from __future__ import annotations

from typing import NamedTuple

from reports.cells import cell
from reports.columns import WORDS as DIRECTIONS
from reports.columns import Column
from reports.leaderboard import BoardTable, Row
from reports.reductions import ONE_SEED, reference_group

WORDS = {
    "supported": "the whole interval lies above zero",
    "not supported": "the whole interval lies at or below zero",
    "undecided": "the interval contains zero, so this is undecided",
}


class Statement(NamedTuple):
    """One of the sentences: a label, a number, and how to read it."""

    label: str
    value: str
    detail: str


def statements(table: BoardTable) -> list[Statement]:
    """Who copies least, how sure that is, what it costs, and how a printed claim fares."""
    best = next((row for row in table.rows if row.role == "method"), None)
    found = [least(table), *([less(table, best), quality(table, best)] if best else []), claim(table)]
    return [statement for statement in found if statement]


def least(table: BoardTable) -> Statement | None:
    """The row of rank 1."""
    first = next((row for row in table.rows if row.rank == 1), None)
    column = table.column(table.sort)
    if first is None:
        return None
    found = cell(table, first, column)
    unit = " %" if column.unit == "%" else ""
    detail = f"{column.title} {found.text}{unit} {found.interval}".strip()
    label = "copies least" if column.key == "R" else f"best in {column.title}"
    return Statement(label, first.label, f"{detail}, {seeds(first)}")


def seeds(row: Row) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{len(row.seeds)} seed{'s' if len(row.seeds) != 1 else ''}"


def less(table: BoardTable, best: Row) -> Statement:
    """How much less the best method copies than the reference."""
    column = table.column("reduction")
    found = cell(table, best, column)
    value = found.value.value
    label = f"{best.label} copies {'more' if value is not None and value < 0 else 'less'} than {table.reference} by"
    if value is None:
        return Statement(label, found.text, found.value.reason or "")
    detail = f"{found.interval}: {WORDS[found.verdict]}" if found.interval else found.value.note or ""
    if found.interval and ONE_SEED in (found.value.note or ""):
        detail += "; one seed, so other trainings may differ by more"
    return Statement(
        label, f"{column.number(abs(value))} %", f"as a reduction: {detail}" if value < 0 else detail
    )


def quality(table: BoardTable, best: Row) -> Statement | None:
    """What the best method pays in quality."""
    column = next((c for c in table.columns if c.group == "quality"), None)
    base = reference_of(table, best)
    if column is None or base is None:
        return None
    ours, theirs = best.values[column.key], base.values[column.key]
    if ours.value is None or theirs.value is None:
        return None
    return Statement(f"its quality: {column.title}", column.text(ours), price(column, base.label, best, base))


def reference_of(table: BoardTable, best: Row) -> Row | None:
    """The reference's row that a row's reduction is counted from, too; None where the board has none."""
    group = next(group for group in table.board.groups if group.label == best.label)
    other = reference_group(table.board, group, table.reference)
    return next((row for row in table.rows if other and row.label == other.label), None)


def price(column: Column, reference: str, best: Row, base: Row) -> str:
    """Better or worse than the reference, or not told apart by the intervals."""
    ours, theirs = best.values[column.key], base.values[column.key]
    told = f"{column.text(theirs)} for {reference}, {DIRECTIONS[column.better]}".rstrip(", ")
    ends = (ours.low, ours.high, theirs.low, theirs.high)
    if ours.value == theirs.value:
        return f"{told}: the same"
    if any(end is None for end in ends):
        return told
    apart = ours.low > theirs.high or theirs.low > ours.high  # type: ignore[operator]
    worse = ((ours.value or 0) > (theirs.value or 0)) == (column.better != "up")
    return f"{told}: {'worse' if worse else 'better'}{'' if apart else ', but the intervals overlap'}"


def claim(table: BoardTable) -> Statement | None:
    """The first printed claim, in the reading that can be tested."""
    found = sorted(table.claims, key=lambda c: c.measured.value is None)
    if not found:
        return None
    first = found[0]
    column = table.column("reduction")
    measured = f"{column.text(first.measured)} % {column.interval(first.measured)}".strip()
    here = f"measured here: {measured} against {first.reading}" if first.measured.value is not None else ""
    detail = "; ".join(filter(None, (here, "another protocol than the paper's")))
    label = f"printed for {first.method}: {100 * first.claimed:.10g} % less copying"
    return Statement(label, first.verdict, detail)
