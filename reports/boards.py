"""What a table is made of: groups, each the seeds of one row, and boards, each the groups of one table."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

import pandas as pd

from replication_bench.errors import DataError
from replication_bench.results import Result
from reports.collect import Run
from reports.facts import budget_of, name_of, setting_of
from reports.matches import read_matches, top1
from reports.values import Value, of_measurement, over_seeds


@dataclass(frozen=True)
class Group:
    """The runs of one row: one configuration, several seeds.

    Attributes:
        label: the method's name, with what tells this row from others of the same method.
        runs: in the order of their seeds.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """The results, in the order of their seeds."""
        return tuple(run.result for run in self.runs)

    @property
    def method(self) -> str:
        """The method's name."""
        return name_of(self.results[0])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(result.seed for result in self.results)

    @property
    def budget(self) -> int | None:
        """Images that each run was given; None for an audit."""
        return budget_of(self.results[0])

    @cached_property
    def setting(self) -> dict[str, Any]:
        """What was configured, seeds apart."""
        return setting_of(self.results[0])

    @cached_property
    def matches(self) -> dict[int, pd.DataFrame]:
        """All matches by seed; seeds whose matches were moved or are broken are left out."""
        found = {}
        for run in self.runs:
            try:
                found[run.result.seed] = read_matches(run.folder / "matches.parquet")
            except DataError:
                continue
        return found

    @cached_property
    def top1(self) -> dict[int, pd.DataFrame]:
        """The nearest training image of each generated one, by seed."""
        return {seed: top1(table) for seed, table in self.matches.items()}

    def value(self, name: str) -> Value:
        """A measurement, mean over seeds."""
        found = [result.measurement(name) for result in self.results]
        unit = next((m.unit for m in found if m), "")
        return over_seeds([of_measurement(m) for m in found], unit, confidence_of(self.results[0]))


@dataclass(frozen=True)
class Board:
    """Groups that may stand in one table."""

    parts: dict[str, str]
    groups: tuple[Group, ...]

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that name the board."""
        return hashlib.sha256("|".join(self.parts.values()).encode()).hexdigest()[:8]

    @property
    def first(self) -> Result:
        """A result, for what all have in common."""
        return self.groups[0].results[0]

    @property
    def title(self) -> str:
        """Dataset, backbone and embedder in words."""
        result = self.first
        # where a folder lies is nobody's business
        backbone = PurePath(result.backbone.get("name", "")).name if result.backbone else ""
        names = (result.dataset.name, backbone, str(result.embedder.get("name", "")))
        return " · ".join(filter(None, names))

    def unlike(self, other: Board) -> str:
        """In which parts two boards differ, with both values: 'protocol hash 1111 (a) and 2222 (b)'."""
        return "; ".join(
            f"{part} {mine[:12]} ({self.first.id}) and {other.parts[part][:12]} ({other.first.id})"
            for part, mine in self.parts.items()
            if other.parts.get(part, mine) != mine
        )

    @property
    def usual_budget(self) -> int | None:
        """The budget that most rows have, the smallest of several; None where none is known."""
        found = Counter(group.budget for group in self.groups if group.budget is not None)
        return min(found, key=lambda budget: (-found[budget], budget), default=None)

    @property
    def confidence(self) -> float:
        """The share that intervals cover."""
        return confidence_of(self.first)

    def metric_names(self) -> list[str]:
        """Every measurement of the board, in the order of its results."""
        names = (m.name for group in self.groups for result in group.results for m in result.measurements)
        return list(dict.fromkeys(names))

    def groups_of(self, method: str) -> list[Group]:
        """The rows of one method."""
        return [group for group in self.groups if group.method == method]


def confidence_of(result: Result) -> float:
    """The share that a result's intervals cover; 0.95 where it does not say."""
    share = result.config.get("measure", {}).get("confidence")
    return float(share) if isinstance(share, int | float) else 0.95
