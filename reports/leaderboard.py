"""Boards as rows: the one source of every form of the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from replication_bench.errors import ConfigError, did_you_mean
from reports.boards import Board, Group
from reports.claims import Claim, claim_verdict, conditions, is_reduction, printed_claims, readings
from reports.columns import REDUCTIONS, Column, all_columns, columns_of, footnotes
from reports.costs import costs
from reports.facts import why_control
from reports.pareto import cost as as_cost
from reports.pareto import fronts
from reports.reductions import Comparison, best_data_side, compare, reference_group, verdict
from reports.significance import holm
from reports.values import Value, missing

Role = Literal["method", "reference", "control", "reported"]
PRINTED = "not printed in this form"
NO_DATA_SIDE = "no method on this board changes only the training data"


@dataclass(frozen=True)
class Row:
    """One row of a leaderboard.

    Attributes:
        label: what stands in the first column.
        method: the method's name.
        role: ``reported`` rows repeat what a paper prints and were not measured here.
        why: why a control is one; for reported rows the conditions.
        seeds: that the means are over.
        values: by column.
        verdicts: by column of a reduction: what its interval says about any reduction.
        rank: among methods and the reference; None for others, and where there is no number to rank by.
        front: the measurements in whose front with R the row stands.
        against: the labels of the rows that it is compared with: of the reference, and of the best data-side method;
            empty where it is compared with none.
    """

    label: str
    method: str
    role: Role
    why: str
    seeds: tuple[int, ...]
    values: Mapping[str, Value]
    verdicts: Mapping[str, str] = field(default_factory=dict)
    rank: int | None = None
    front: tuple[str, ...] = ()
    against: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class BoardTable:
    """A board with its rows, ranked.

    Attributes:
        board: the groups.
        reference: the method that reductions are counted from.
        sort: the key that rows are ranked by.
        chosen: the keys of the columns that tables show; empty for the usual ones.
    """

    board: Board
    reference: str = "none"
    sort: str = "R"
    chosen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = [column.key for column in self.all_columns]
        if self.sort not in known:
            raise ConfigError(
                f"no column '{self.sort}' to sort by", where="--sort", hint=did_you_mean(self.sort, known)
            )
        for key in self.chosen:
            if key not in known:
                raise ConfigError(f"no column '{key}'", where="--column", hint=did_you_mean(key, known))

    @cached_property
    def columns(self) -> list[Column]:
        """The columns that tables show."""
        if self.chosen:
            return [self.column(key) for key in dict.fromkeys(self.chosen)]
        return columns_of(self.board, self.reference, self.sort)

    @cached_property
    def all_columns(self) -> list[Column]:
        """The usual columns, then every other measurement."""
        return all_columns(self.board, self.reference, self.sort)

    @cached_property
    def best(self) -> Group | None:
        """The best method that changes only the training data, among those that are no controls."""
        return best_data_side([group for group in self.board.groups if not self.controls[group.label]])

    @cached_property
    def comparisons(self) -> dict[str, tuple[Comparison, Comparison]]:
        """By label: against the reference, and against the best data-side method."""
        none = f"no result of '{self.reference}' to compare with"
        share = self.board.confidence
        return {
            group.label: (
                compare(group, reference_group(self.board, group, self.reference), none, share),
                compare(group, self.best, NO_DATA_SIDE, share),
            )
            for group in self.board.groups
        }

    @cached_property
    def p_values(self) -> dict[str, float]:
        """Corrected p values by label."""
        found = {label: against.p.value for label, (against, _) in self.comparisons.items()}
        return holm({label: p for label, p in found.items() if p is not None})

    @cached_property
    def controls(self) -> dict[str, str]:
        """By label, why a row is a control; empty where it is none."""
        usual = self.board.usual_budget
        return {g.label: why_control(g.results[0], self.reference, usual) for g in self.board.groups}

    @cached_property
    def fronts(self) -> dict[str, list[str]]:
        """By measurement of quality or alignment, the rows on its Pareto front with R; controls are not in it."""
        return fronts(self.board, [label for label, why in self.controls.items() if not why])

    @cached_property
    def rows(self) -> list[Row]:
        """Every group, ranked, then the reported rows of their methods."""
        rows = [self.row(group) for group in self.board.groups]
        return ranked(rows, self.column(self.sort)) + self.reported()

    def column(self, key: str) -> Column:
        """The column called ``key``."""
        return next(column for column in self.all_columns if column.key == key)

    def row(self, group: Group) -> Row:
        """The row of one group, not yet ranked."""
        values = {name: group.value(name) for name in self.board.metric_names()}
        values |= self.compared(group.label) | costs(group)
        why = self.controls[group.label]
        role: Role = "control" if why else "reference" if group.method == self.reference else "method"
        verdicts = {key: verdict(values[key]) for key in REDUCTIONS if values[key].value is not None}
        front = tuple(name for name, labels in self.fronts.items() if group.label in labels)
        against, best = (comparison.against for comparison in self.comparisons[group.label])
        return Row(
            group.label, group.method, role, why, group.seeds, values, verdicts, None, front, (against, best)
        )

    def compared(self, label: str) -> dict[str, Value]:
        """The columns that compare a row with others."""
        against, best = self.comparisons[label]
        p = against.p._replace(value=self.p_values[label]) if label in self.p_values else against.p
        return {
            "reduction": against.reduction,
            "reduction_floor": against.above_floor,
            "reduction_best": best.reduction,
            "p": p,
        }

    def reported(self) -> list[Row]:
        """A row for each reduction that the paper of a method prints."""
        blank = {column.key: missing(PRINTED) for column in self.all_columns}
        rows = []
        for method, claim in printed_claims(self.board):
            where = ", ".join(filter(None, (conditions(claim), str(claim.get("source", "")))))
            values = blank | (readings(claim) if is_reduction(claim) else {})
            why = f"{claim['claim']}: {claim['value']} {claim['unit']} ({where})"
            rows.append(Row(f"{method}, as printed", method, "reported", why, (), values))
        return rows

    @cached_property
    def claims(self) -> list[Claim]:
        """Each printed reduction in both readings, for the best row of its method."""
        return [
            claim
            for method, printed in printed_claims(self.board)
            if is_reduction(printed)
            for claim in self.readings_of(method, printed)
        ]

    def readings_of(self, method: str, printed: Mapping[str, Any]) -> list[Claim]:
        """One printed reduction against the reference, and against the best data-side method."""
        row = self.contender(method)
        label = f"{row.label} (control)" if row.role == "control" else row.label
        claimed = float(printed["value"]) / 100
        best = self.best.label if self.best else "the best data-side method"
        text = f"{printed['claim']}: {printed['value']} {printed['unit']} ({conditions(printed)})"
        return [
            Claim(label, text, reading, claimed, row.values[key], claim_verdict(row.values[key], claimed))
            for key, reading in (("reduction", self.reference), ("reduction_best", best))
        ]

    def contender(self, method: str) -> Row:
        """The row of a method that copies least, whatever the table is sorted by; a control only where all are."""

        def place(row: Row) -> tuple[bool, bool, float]:
            r = row.values["R"].value if "R" in row.values else None
            return row.role == "control", r is None, r or 0.0

        return min((row for row in self.measured if row.method == method), key=place)

    @property
    def measured(self) -> list[Row]:
        """The rows that were measured here, without what papers print."""
        return [row for row in self.rows if row.role != "reported"]

    @cached_property
    def reasons(self) -> dict[str, int]:
        """The footnotes of the columns shown."""
        return footnotes([row.values for row in self.rows], self.columns)


def ranked(rows: Sequence[Row], column: Column) -> list[Row]:
    """Best first by the column's own direction, rows without a value last; equal values share a rank."""

    def key(row: Row) -> tuple[bool, float]:
        value = row.values[column.key].value
        return value is None, 0.0 if value is None else as_cost(value, column.better)

    ordered = sorted(rows, key=key)
    ranks = [key(row)[1] for row in ordered if row.role in ("method", "reference") and not key(row)[0]]
    return [
        row
        if row.role == "control" or key(row)[0] or column.better == "reference"
        else Row(**(vars(row) | {"rank": 1 + sum(other < key(row)[1] for other in ranks)}))
        for row in ordered
    ]
