"""Results as rows: plain dictionaries, the one source of every form of the table.

A missing value is ``None`` in the row, and the row's ``missing`` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication_bench.errors import ConfigError
from replication_bench.metrics.replication import reduction, reduction_floor
from replication_bench.results import Measurement, Result
from reports.facts import BOARD_PARTS, why_control

Row = dict[str, Any]

MEASURED = ("R", "sim_mean", "sim_gt_05pc", "r_star", "kd_heldout")
NOT_MEASURED = "not measured in this run"


def make_rows(results: Sequence[Result], reference: str = "none") -> list[Row]:
    """One dictionary a result, in the given order.

    Raises:
        ConfigError: results of unlike boards.
    """
    require_one_board(results)
    budgets = (result.ran.cost.budget for result in results)
    cheapest = min((budget for budget in budgets if budget is not None), default=None)
    return [
        make_row(result, reference_of(result, results, reference), reference, cheapest) for result in results
    ]


def require_one_board(results: Sequence[Result]) -> None:
    """Refuse results whose data, backbone, protocol or budget rule differ."""
    for other in results[1:]:
        for part, first, second in zip(BOARD_PARTS, results[0].board, other.board, strict=True):
            if first != second:
                raise ConfigError(
                    "results of unlike boards cannot stand in one table",
                    where=part,
                    got=f"{first[:12]} ({results[0].id}) and {second[:12]} ({other.id})",
                    hint="Show them in two tables.",
                )


def reference_of(result: Result, results: Sequence[Result], reference: str) -> Result | None:
    """What ``result`` is compared with: of the same seed, and of the same budget or else the smallest."""
    found = [r for r in results if r.ran.method.name == reference and r.seed == result.seed]
    return min(
        found,
        key=lambda r: (r.ran.cost.budget != result.ran.cost.budget, r.ran.cost.budget or 0),
        default=None,
    )


def make_row(result: Result, base: Result | None, reference: str, cheapest: int | None) -> Row:
    """The row of one result compared with ``base``; ``cheapest`` is the smallest known budget of the group."""
    cost = result.ran.cost
    found = {name: value_or_reason(result.measurement(name)) for name in MEASURED}
    found |= reductions(result, base, reference) | interval_of(result)
    found["seconds"] = sum(cost.seconds.values()) if cost.seconds else "no timings were recorded"
    found["images"] = cost.reason or NOT_MEASURED if cost.images is None else cost.images
    return {
        "id": result.id,
        "method": result.ran.method.name,
        "seed": result.seed,
        **{key: None if isinstance(value, str) else value for key, value in found.items()},
        "parameters": cost.parameters,
        "reference": result.ran.method.name == reference,
        "control": why_control(result, reference, cheapest, "group"),
        "missing": {key: value for key, value in found.items() if isinstance(value, str)},
    }


def interval_of(result: Result) -> dict[str, float | str]:
    """Both ends of the interval of R, or the reason why there is none."""
    found = result.measurement("R")
    value = value_or_reason(found)
    if found is None or isinstance(value, str):
        return {"R_low": value, "R_high": value}
    missing = "no interval was computed"
    return {
        "R_low": missing if found.low is None else found.low,
        "R_high": missing if found.high is None else found.high,
    }


def reductions(result: Result, base: Result | None, reference: str) -> dict[str, float | str]:
    """Both reductions of ``result`` against ``base``, or the reasons why there are none."""
    if base is None:
        return dict.fromkeys(
            ("reduction", "reduction_floor"),
            f"no result of '{reference}' with seed {result.seed} to compare with",
        )
    r, r_base = value_or_reason(result.measurement("R")), value_or_reason(base.measurement("R"))
    if isinstance(r, str) or isinstance(r_base, str):
        reason = f"R is missing: {r if isinstance(r, str) else r_base}"
        return {"reduction": reason, "reduction_floor": reason}
    floor = value_or_reason(result.measurement("floor_95pc"))
    above = f"the floor is missing: {floor}" if isinstance(floor, str) else reduction_floor(r, r_base, floor)
    return {"reduction": reduction(r, r_base), "reduction_floor": above}


def value_or_reason(found: Measurement | None) -> float | str:
    """The value of a measurement, or why there is none."""
    if found is None:
        return NOT_MEASURED
    return found.value if found.value is not None else found.reason or NOT_MEASURED
