"""Runs -> boards -> groups: what may stand in one table, and which runs are seeds of one row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

import pandas as pd

from replication_bench.errors import ConfigError, DataError
from replication_bench.results import Result
from reports.collect import Run
from reports.facts import board_parts, budget_of, name_of, setting_of
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


def make_boards(runs: Sequence[Run], together: bool = False) -> list[Board]:
    """One board for each set of results that may be compared.

    Raises:
        ConfigError: ``together`` is asked for, and there is more than one board.
    """
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(tuple(board_parts(run.result).values()), []).append(run)
    if together and len(found) > 1:
        first, second = list(found.values())[:2]
        refuse(first[0].result, second[0].result)
    return [Board(board_parts(members[0].result), make_groups(members)) for members in found.values()]


def unlike(first: Result, second: Result) -> str:
    """In which part two results differ, with both values: 'protocol hash 1111 (a) and 2222 (b)'."""
    others = board_parts(second)
    return "; ".join(
        f"{part} {mine[:12]} ({first.id}) and {others[part][:12]} ({second.id})"
        for part, mine in board_parts(first).items()
        if mine != others[part]
    )


def refuse(first: Result, second: Result) -> None:
    """Refuse to put two unlike results into one table."""
    raise ConfigError(
        "results of unlike boards cannot stand in one table",
        got=unlike(first, second),
        hint="Leave out --together, and each gets its own board.",
    )


def make_groups(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Runs that differ in nothing but the seed, in the order of their first."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(repr(sorted(setting_of(run.result).items())), []).append(run)
    settings = [setting_of(members[0].result) for members in found.values()]
    groups = []
    for members, setting in zip(found.values(), settings, strict=True):
        same = [other for other in settings if other["method"] == setting["method"]]
        ordered = tuple(sorted(members, key=lambda run: (run.result.seed, run.result.id)))
        groups.append(Group(label_of(setting["method"], unusual(setting, same)), ordered))
    return tuple(groups)


def unusual(setting: dict[str, Any], same: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The settings that tell a row from the others of its method, by the last word of their key where that is enough.

    A value that more rows have than any other is the usual one and goes without saying, so that of many rows which each
    vary one setting, each is called by that setting alone.
    """
    varied = [key for key in setting if any(other.get(key) != setting[key] for other in same)]
    told = [key for key in varied if setting[key] != usual([other.get(key) for other in same])]
    short = [key.rpartition(".")[2] for key in varied]
    return {
        name if short.count(name) == 1 else key: setting[key]
        for key, name in zip(varied, short, strict=True)
        if key in told
    }


def usual(values: Sequence[Any]) -> Any:
    """The value that occurs more often than any other; a value that equals nothing where there is none."""
    counts = Counter(map(repr, values)).most_common(2)
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        return object()
    return next(value for value in values if repr(value) == counts[0][0])


def label_of(method: str, told: dict[str, Any]) -> str:
    """``loyal`` or ``loyal (tau 300, skips SC3+SC4)``."""
    words = ", ".join(f"{key} {setting_text(value)}" for key, value in told.items())
    return f"{method} ({words})" if words else method


def setting_text(value: Any) -> str:
    """A setting as a reader types it."""
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
