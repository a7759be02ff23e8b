"""All pictures of one board, and why some are not there."""

from __future__ import annotations

from typing import NamedTuple

from reports.figures import ablations, distributions, duplication, scatter
from reports.figures.style import Picture
from reports.leaderboard import BoardTable


class Pictures(NamedTuple):
    """What was drawn, and a sentence for each picture that could not be."""

    drawn: list[Picture]
    absent: list[str]


def pictures(table: BoardTable) -> Pictures:
    """Every picture that the board has numbers for."""
    varied, tradeoffs = ablations.pictures(table), scatter.tradeoffs(table)
    time, duplicates = scatter.training_time(table), duplication.picture(table)
    drawn = [distributions.picture(table), *tradeoffs, *varied, *filter(None, (time, duplicates))]
    reasons = {
        "Copying against quality: no row has both numbers.": tradeoffs,
        "Ablations (per skip, tau, block): no two runs of a method differ in one setting alone.": varied,
        "Copying against training time: no run recorded its seconds.": time,
        "Repeated training images: no run kept its matches and the similarities of its anchors.": duplicates,
    }
    return Pictures(drawn, [reason for reason, found in reasons.items() if not found])
