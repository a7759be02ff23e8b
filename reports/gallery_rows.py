"""Which matches the gallery shows: the worst of every run, and their partners for the paired view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from reports.boards import Group
from reports.collect import Run
from reports.leaderboard import BoardTable
from reports.reductions import reference_group

NEIGHBOURS = 3
LABELS = ("above 0.75", "above 0.5", "above the calibrated threshold", "below the thresholds")
LIMITS = (0.75, 0.5)
Match = Any  # a named tuple of the columns of ``matches.parquet``
Pair = tuple["Source", Match]


@dataclass(frozen=True)
class Source:
    """The matches of one run.

    Attributes:
        index: of its group among the groups of all boards.
        run: the run.
        group: its row of the leaderboard.
        reference: the reference's group, None where there is none or this is it.
    """

    index: int
    run: Run
    group: Group
    reference: Group | None

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.result.seed

    @cached_property
    def top1(self) -> pd.DataFrame:
        """The nearest training image of each generated one."""
        return self.group.top1[self.seed]

    @cached_property
    def by_id(self) -> dict[str, Match]:
        """The rows of ``top1`` by generated id."""
        return {str(match.generated): match for match in self.top1.itertuples(index=False)}

    @cached_property
    def nearest(self) -> dict[str, list[Match]]:
        """The nearest training images of each generated one, nearest first."""
        matches = self.group.matches[self.seed]
        found: dict[str, list[Match]] = {}
        for match in matches[matches["rank"] <= NEIGHBOURS].sort_values("rank").itertuples(index=False):
            found.setdefault(str(match.generated), []).append(match)
        return found

    @cached_property
    def limits(self) -> tuple[float, ...]:
        """The thresholds of ``LABELS``."""
        calibrated = self.group.value("threshold").value
        return (*LIMITS, 2.0 if calibrated is None else calibrated)

    def label(self, match: Match) -> str:
        """The run's own label of a pair, or else the highest threshold that its similarity exceeds."""
        own = getattr(match, "label", None)
        if isinstance(own, str) and own:
            return own
        above = (label for label, limit in zip(LABELS, self.limits, strict=False) if match.similarity > limit)
        return next(above, LABELS[-1])


def find_sources(tables: Sequence[BoardTable]) -> Iterator[Source]:
    """Every run that still has its matches."""
    index = 0
    for table in tables:
        for group in table.board.groups:
            other = reference_group(table.board, group, table.reference)
            for run in group.runs:
                if run.result.seed in group.matches:
                    yield Source(index, run, group, None if other is group else other)
            index += 1


def select(sources: Sequence[Source], limit: int) -> list[Pair]:
    """All matches where they are few; else the worst of each run and their partners. The worst comes first.

    Where there is room for fewer than one a run, the worst ones of all runs are taken; none for a limit of 0.
    """
    total = sum(len(source.top1) for source in sources)
    share = total if total <= limit else max(1, limit // max(1, len(sources)))
    worst: list[Pair] = [
        (source, match)
        for source in sources
        for match in source.top1.nlargest(share, "similarity").itertuples(index=False)
    ]
    kept = sorted(worst, key=lambda pair: -pair[1].similarity)[: max(0, limit)]
    chosen = {(source.index, source.seed, str(match.generated)): (source, match) for source, match in kept}
    for source, match in list(chosen.values()):
        name = str(match.generated)
        for other in sources:
            if other.group is source.reference and other.seed == source.seed and name in other.by_id:
                chosen.setdefault((other.index, other.seed, name), (other, other.by_id[name]))
    return sorted(chosen.values(), key=lambda pair: (-pair[1].similarity, pair[1].generated, pair[0].index))
