from __future__ import annotations

from pathlib import Path

from made_results import make_result

from replication_bench.results import Result
from reports.collect import Run
from reports.grouping import make_boards
from reports.leaderboard import BoardTable
from reports.summary import Statement, statements


def told(*results: Result) -> dict[str, Statement]:
    (board,) = make_boards([Run(result, Path("/nowhere")) for result in results])
    return {statement.label: statement for statement in statements(BoardTable(board))}


def with_rate(method: str, rate: float, r: float, distance: float) -> Result:
    made = make_result(method, values={"R": r, "kd_heldout": distance}, paper="a paper")
    config = made.config | {"train": {"learning_rate": rate}}
    return made.model_copy(update={"config": config, "id": f"{method}-{rate}"})


def test_where_there_is_no_interval_none_is_spoken_of() -> None:
    found = told(make_result(), make_result("loyal", values={"R": 0.4}, paper="a paper"))
    (statement,) = (statement for label, statement in found.items() if "copies less" in label)
    assert statement.detail == "no interval: the matches of a run are missing"


def test_quality_is_compared_with_the_row_that_the_reduction_is_counted_from() -> None:
    references = [with_rate("none", 0.1, 0.5, 0.001), with_rate("none", 0.2, 0.6, 0.003)]
    found = told(*references, with_rate("loyal", 0.2, 0.4, 0.002))
    assert found["at a kernel distance of"].detail == "0.00300 for none (learning_rate 0.2)"
