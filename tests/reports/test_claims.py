"""Which row a printed reduction is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_results import CLAIM, make_result

from replication_bench.results import Result
from reports.collect import Run
from reports.grouping import make_boards
from reports.leaderboard import BoardTable

PLAIN = [make_result(method, paper="a paper") for method in ("wen", "ren")]


def table_of(*results: Result, sort: str = "R") -> BoardTable:
    (board,) = make_boards([Run(result, Path("/nowhere")) for result in results])
    return BoardTable(board, sort=sort)


def loyal_of(r: float, tau: int = 500, **changes: Any) -> Result:
    values = {"R": r, "kd_heldout": 1 - r}
    made = make_result("loyal", paper="a paper", reported=(CLAIM,), values=values, **changes)
    config = made.config | {"method": {"options": {"loyal": {"tau": tau}}}}
    return made.model_copy(update={"config": config, "id": f"loyal-{tau}-{made.cost and made.cost.budget}"})


def held(table: BoardTable) -> set[str]:
    """The rows that loyal's printed reduction is held against."""
    return {claim.method for claim in table.claims if claim.method.startswith("loyal")}


@pytest.mark.parametrize("sort", ["R", "kd_heldout", "seconds"])
def test_it_is_the_one_that_copies_least_of_those_that_are_no_controls(none: Result, sort: str) -> None:
    dear = loyal_of(0.1, budget=20_000, seconds={"train": 1.0})
    table = table_of(none, *PLAIN, loyal_of(0.52, tau=300), loyal_of(0.509), dear, sort=sort)
    (label,) = held(table)
    (found,) = (row for row in table.rows if row.label == label)
    assert (found.role, found.values["R"].value) == ("method", 0.509)


def test_where_all_are_controls_it_says_so(none: Result) -> None:
    assert held(table_of(none, *PLAIN, loyal_of(0.4, budget=20_000))) == {"loyal (control)"}
