"""Runs -> boards -> groups: what may stand in one table, and which runs are seeds of one row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any

from replication_bench.errors import ConfigError
from replication_bench.results import Result
from reports.boards import Board, Group
from reports.collect import Run
from reports.facts import board_parts, further_protocols, machine_of, setting_of

Setting = dict[str, Any]


@dataclass
class Gathering:
    """The runs of one board, while they are being found.

    Attributes:
        parts: what all have in common.
        runs: in the order they came.
        protocols: of the measurements in further spaces, by measurement.
    """

    parts: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    protocols: dict[str, str] = field(default_factory=dict)

    def takes(self, result: Result) -> bool:
        """Whether the result may be compared with all of these; in a further space, where both measured in it."""
        others = board_parts(result) | further_protocols(result)
        return all(others.get(part, mine) == mine for part, mine in (self.parts | self.protocols).items())

    def add(self, run: Run) -> None:
        """Take the run in."""
        self.runs.append(run)
        self.protocols |= further_protocols(run.result)


def gather(runs: Sequence[Run]) -> list[Gathering]:
    """Each run joins the first board that it may be compared with."""
    found: list[Gathering] = []
    for run in runs:
        place = next((one for one in found if one.takes(run.result)), None)
        if place is None:
            place = Gathering(board_parts(run.result))
            found.append(place)
        place.add(run)
    return found


def make_boards(runs: Sequence[Run], together: bool = False) -> list[Board]:
    """One board for each set of results that may be compared.

    Raises:
        ConfigError: ``together`` is asked for, and there is more than one board.
    """
    found = gather(runs)
    boards = [Board(one.parts | telling(one, found), make_groups(one.runs)) for one in found]
    if together and len(boards) > 1:
        raise ConfigError(
            "results of unlike boards cannot stand in one table",
            got=boards[0].unlike(boards[1]),
            hint="Leave out --together, and each gets its own board.",
        )
    return boards


def telling(one: Gathering, found: Sequence[Gathering]) -> dict[str, str]:
    """The protocols in which this board differs from another with the same parts."""
    twins = [other for other in found if other is not one and other.parts == one.parts]
    return {
        name: protocol
        for name, protocol in one.protocols.items()
        if any(other.protocols.get(name, protocol) != protocol for other in twins)
    }


def make_groups(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Runs that differ in nothing but the seed, in the order of their first.

    A seed counts once. Where it ran twice, on two devices or with two precisions, these make rows of their own; what
    is left of it, such as runs of another number of bootstrap draws, is told apart by its id.
    """
    found = parted(runs, setting_of)
    for finer in (machine_of, by_id):
        found = [part for setting, members in found for part in apart(setting, members, finer)]
    groups: list[Group] = []
    for setting, members in found:
        same = [other for other, _ in found if other["method"] == setting["method"]]
        ordered = tuple(sorted(members, key=lambda run: (run.result.seed, run.result.id)))
        label = label_of(setting["method"], unusual(setting, same))
        before = sum(group.label == label or group.label.startswith(f"{label}, ") for group in groups)
        groups.append(Group(f"{label}, {before + 1}" if before else label, ordered))
    return tuple(groups)


def apart(
    setting: Setting, runs: list[Run], tell: Callable[[Result], Setting]
) -> list[tuple[Setting, list[Run]]]:
    """The runs as they are where no seed occurs twice, else parted by what ``tell`` tells."""
    distinct = len({run.result.seed for run in runs}) == len(runs)
    return [(setting, runs)] if distinct else parted(runs, tell, setting)


def parted(
    runs: Sequence[Run], tell: Callable[[Result], Setting], before: Setting | None = None
) -> list[tuple[Setting, list[Run]]]:
    """Runs that agree in what ``tell`` tells, each set with that and what it had in common ``before``."""
    found: dict[str, tuple[Setting, list[Run]]] = {}
    for run in runs:
        told = tell(run.result)
        found.setdefault(repr(sorted(told.items())), ((before or {}) | told, []))[1].append(run)
    return list(found.values())


def by_id(result: Result) -> Setting:
    """The id, where nothing else tells two results of one seed apart."""
    return {"id": result.id}


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
    """A setting as a reader types it; of a path its last name alone, since where a file lies is nobody's business."""
    if isinstance(value, str) and ("/" in value or "\\" in value):
        return PureWindowsPath(value).name
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
