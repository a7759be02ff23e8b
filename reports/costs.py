"""What a row was given and used: images, parameters, seconds, calls of the network."""

from __future__ import annotations

from collections.abc import Sequence

from reports.boards import Group
from reports.values import NOT_MEASURED, Value, missing, over_seeds


def costs(group: Group) -> dict[str, Value]:
    """What a group was given and used, mean over seeds."""
    found = [result.cost for result in group.results]
    numbers: dict[str, list[float | None]] = {
        "budget": [cost.budget if cost else None for cost in found],
        "images": [cost.images if cost else None for cost in found],
        "parameters": [cost.parameters if cost else None for cost in found],
        "calls": [cost.network_calls_per_image if cost else None for cost in found],
        "seconds": [cost.seconds.get("train") if cost else None for cost in found],
    }
    unknown = next((cost.reason for cost in found if cost and cost.reason), "no timings were recorded")
    reason = unknown if all(found) else NOT_MEASURED
    return {key: plain_mean(values, reason) for key, values in numbers.items()}


def plain_mean(values: Sequence[float | None], reason: str) -> Value:
    """The mean without an interval."""
    value = over_seeds([missing(reason) if v is None else Value(float(v)) for v in values])
    return value._replace(low=None, high=None)
