"""What stands in each cell of a leaderboard, as text; every format takes it from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from replication_bench.results import Result
from reports.columns import MISSING, Column
from reports.leaderboard import BoardTable, Row
from reports.values import Value

ON_FRONT = "◇"
MARKS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
ROLE_WORDS = {
    "method": "",
    "reference": "reference",
    "control": "control",
    "reported": "reported, not measured here",
}


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: the number as written, or a dash.
        interval: both ends in brackets, or empty.
        footnote: number of the reason of a missing value; 0 for none.
        verdict: what the interval says about any reduction; empty elsewhere.
        value: the number behind it.
    """

    text: str
    interval: str
    footnote: int
    verdict: str
    value: Value

    @property
    def mark(self) -> str:
        """The verdict as one sign."""
        return MARKS.get(self.verdict, "")


def cell(table: BoardTable, row: Row, column: Column) -> Cell:
    """The cell of a row and a column."""
    value = row.values[column.key]
    footnote = table.reasons.get(value.reason or "", 0) if value.value is None else 0
    if row.role == "reported":
        text = MISSING if value.value is None else f"{value.value * column.scale:.10g}"
        return Cell(text, "", footnote, "", value)
    return Cell(column.text(value), column.interval(value), footnote, row.verdicts.get(column.key, ""), value)


def cells(table: BoardTable, row: Row, columns: Sequence[Column]) -> list[Cell]:
    """The cells of a row."""
    return [cell(table, row, column) for column in columns]


def rank_text(row: Row) -> str:
    """The rank, or nothing for rows that have none."""
    return "" if row.rank is None else str(row.rank)


def label_text(row: Row) -> str:
    """The label with the row's role, and a sign where it stands on a Pareto front."""
    role = f" ({ROLE_WORDS[row.role]})" if row.role in ("control", "reference") else ""
    return f"{row.label}{role}{f' {ON_FRONT}' if row.front else ''}"


def seeds_text(row: Row) -> str:
    """Number of seeds; empty for reported rows."""
    return str(len(row.seeds)) if row.seeds else MISSING


def facts(table: BoardTable) -> list[tuple[str, str]]:
    """What all rows of a board have in common."""
    first = table.board.first
    data = f"{first.dataset.name}: {first.dataset.train:,} train, {first.dataset.heldout:,} held out"
    parts = [(name, value[:12]) for name, value in table.board.parts.items()]
    names = dict.fromkeys(str(first.embedder.get(key, "")) for key in ("name", "protocol"))
    return [("dataset", data), ("embedder", " ".join(filter(None, names))), *parts]


def notes(table: BoardTable, rows: Sequence[Row] | None = None) -> list[str]:
    """What stands below a table of ``rows``, all by default: the reasons that these number, then everything else."""
    shown = table.rows if rows is None else rows
    numbers = {found.footnote for row in shown for found in cells(table, row, table.columns)}
    reasons = [f"[{number}] {reason}" for reason, number in table.reasons.items() if number in numbers]
    return [*reasons, *remarks(table), *verdicts(table)]


def remarks(table: BoardTable) -> list[str]:
    """How to read the table, controls, printed numbers, warnings, and what the datasets say."""
    share = f"{100 * table.board.confidence:g} %"
    lines = [
        f"Ranked by {table.column(table.sort).title}. Values are means over seeds, with {share} intervals in brackets. "
        "Signs behind a reduction: ✓ its interval lies above 0, ✗ not above 0, ? undecided."
    ]
    lines += on_fronts(table) + two_seeds(table) + controls(table) + shared_training(table)
    lines += [f"{row.label}: {row.why}" for row in table.rows if row.role == "reported"]
    return list(dict.fromkeys(lines + warnings(table) + result_notes(table)))


def on_fronts(table: BoardTable) -> list[str]:
    """Which rows stand on each Pareto front, in the order of the table."""
    return [
        f"{ON_FRONT} Pareto front of R and {table.column(name).title}, controls left out: "
        f"{', '.join(row.label for row in table.rows if name in row.front)}."
        for name in table.fronts
    ]


def two_seeds(table: BoardTable) -> list[str]:
    """Why intervals over two seeds are as wide as they are."""
    found = [row.label for row in table.rows if len(row.seeds) == 2]
    why = (
        "two trainings say little about how much trainings differ; a third makes intervals about three times"
    )
    return [f"Two seeds of {', '.join(found)}: {why} narrower."] if found else []


def controls(table: BoardTable) -> list[str]:
    """Why rows are controls, one line a reason."""
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.role == "control":
            found.setdefault(row.why, []).append(row.label)
    return [f"{', '.join(labels)}: control, {why}." for why, labels in found.items()]


def on(result: Result) -> str:
    """What must be known to compare the seconds of training with those of other runs."""
    count = result.cost.training_processes if result.cost else None
    return f", on {count} processes" if count not in (None, 1) else ""


def shared_training(table: BoardTable) -> list[str]:
    """Which rows use the weights of another run."""
    return [
        f"{group.label}: trained in {result.cost.trained_in}, whose seconds of training are counted{on(result)}."
        for group in table.board.groups
        for result in group.results
        if result.cost and result.cost.trained_in
    ]


def verdicts(table: BoardTable) -> list[str]:
    """What was measured here says about each printed reduction."""
    return [
        f"{claim.method} against {claim.reading}: the printed {100 * claim.claimed:.10g} % is {claim.verdict}."
        for claim in table.claims
    ]


def warnings(table: BoardTable) -> list[str]:
    """The warnings that belong beside the numbers shown, each once, with the columns and rows that it concerns."""
    measured = table.measured
    found: dict[str, dict[str, list[str]]] = {}  # by warning, then by column: rows
    for column in table.columns:
        for row in measured:
            if note := row.values[column.key].note:
                found.setdefault(note, {}).setdefault(column.title, []).append(row.label)
    return [
        f"{' and '.join(titles)}{of(labels) if len(labels) < len(measured) else ''}: {note}."
        for note, rows in found.items()
        for labels, titles in same_rows(rows)
    ]


def of(labels: Sequence[str]) -> str:
    """`` of a, b``."""
    return f" of {', '.join(labels)}"


def same_rows(rows: Mapping[str, Sequence[str]]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The columns of each set of rows."""
    found: dict[tuple[str, ...], list[str]] = {}
    for title, labels in rows.items():
        found.setdefault(tuple(labels), []).append(title)
    yield from found.items()


def result_notes(table: BoardTable) -> list[str]:
    """What must stand beside every number: of the datasets, and of the results themselves."""
    results = [result for group in table.board.groups for result in group.results]
    return [note for result in results for note in (result.dataset.note, *result.notes) if note]
