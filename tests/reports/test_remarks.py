"""What is said below a table."""

from __future__ import annotations

from pathlib import Path

from made_results import make_result

from replication_bench.results import Result
from reports.cells import remarks
from reports.collect import Run
from reports.grouping import make_boards
from reports.leaderboard import BoardTable


def said(*results: Result) -> list[str]:
    (board,) = make_boards([Run(result, Path("/nowhere")) for result in results])
    return remarks(BoardTable(board))


def test_controls_of_one_reason_share_a_line(none: Result, loyal: Result) -> None:
    dear = [make_result(method, budget=20_000, paper="a paper") for method in ("gc", "df")]
    line = "gc, df: control, its budget of 20,000 images is above the board's usual 10,000."
    assert line in said(none, loyal, *dear)


def test_a_warning_of_several_columns_about_the_same_rows_is_said_once(none: Result, loyal: Result) -> None:
    found = [line for line in said(none, loyal, make_result("ren", paper="a")) if "no interval" in line]
    columns = "less copying than none and less copying above the floor"
    assert found == [f"{columns} of loyal, ren: no interval: the matches of a run are missing."]
