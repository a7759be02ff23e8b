"""What papers print about their methods, and how it fares beside what was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replication_bench import plugins
from replication_bench.errors import PluginError
from reports.boards import Board, Group
from reports.reductions import verdict
from reports.values import Value


@dataclass(frozen=True)
class Claim:
    """A reduction that a paper prints, held against what was measured here.

    Attributes:
        reading: what the printed reduction may have been counted from.
        measured: the reduction measured here in that reading.
    """

    method: str
    text: str
    reading: str
    claimed: float
    measured: Value
    verdict: str


def printed_claims(board: Board) -> list[tuple[str, Mapping[str, Any]]]:
    """What the papers of the board's methods print, each once, with the method's name."""
    found = [(group.method, claim) for group in board.groups for claim in reported_of(group)]
    return [pair for i, pair in enumerate(found) if pair not in found[:i]]


def reported_of(group: Group) -> tuple[Mapping[str, Any], ...]:
    """The claims in a group's results, or else those of the installed method."""
    for result in group.results:
        if result.method and result.method.reported:
            return result.method.reported
    try:
        found = [plugins.load("methods", part) for part in group.method.split("+")]
    except PluginError:
        return ()
    return tuple(claim._asdict() for target in found for claim in getattr(target, "reported", ()))


def claim_verdict(value: Value, claimed: float) -> str:
    """The verdict on a claim, or that there is nothing to judge it by."""
    if value.value is None:
        return f"not testable: {value.reason}"
    if value.low is None:
        return "undecided: no interval"
    return f"{verdict(value, claimed)} here"


def conditions(claim: Mapping[str, Any]) -> str:
    """Under which conditions a number was printed; always marked as another protocol."""
    protocol = str(claim.get("protocol", "")).removesuffix("other protocol").rstrip(", ")
    return "reported: " + ", ".join(filter(None, (protocol, "other protocol")))


def is_reduction(claim: Mapping[str, Any]) -> bool:
    """Whether a printed number is a percentage of less copying."""
    words = str(claim.get("claim", "")).lower()
    return claim.get("unit") == "%" and ("reduc" in words or "less" in words)


def readings(claim: Mapping[str, Any]) -> dict[str, Value]:
    """A printed reduction in the columns of both its readings."""
    value = Value(float(claim["value"]) / 100, note=conditions(claim))
    return {"reduction": value, "reduction_best": value}
