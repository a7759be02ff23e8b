from __future__ import annotations

import re
from pathlib import Path

from made_results import make_result
from run_folders import write_runs

from replication_bench.results import Result
from reports.board import Leaderboard
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
    assert (
        found["its quality: kernel distance"].detail
        == "0.00300 for none (learning_rate 0.2), lower is better"
    )


def test_what_one_seed_leaves_open_is_said_where_the_reduction_stands(tmp_path: Path) -> None:
    found = {}
    for count in (1, 2):
        runs = write_runs(tmp_path / str(count), 40, seeds=range(count))
        (table,) = Leaderboard().tables([runs])
        (less,) = (s for s in statements(table) if "copies less" in s.label)
        found[count] = less.detail
    assert found[1].endswith(
        "the whole interval lies above zero; one seed, so other trainings may differ by more"
    )
    assert "one seed" not in found[2]


def test_a_printed_claim_names_its_method_the_interval_and_what_it_is_read_against(tmp_path: Path) -> None:
    (table,) = Leaderboard().tables([write_runs(tmp_path, 40)])
    printed = statements(table)[-1]
    assert printed.label == "printed for loyal: 48.63 % less copying"
    assert re.fullmatch(
        r"measured here: \S+ % \[\S+, \S+\] against none; another protocol than the paper's", printed.detail
    )


def test_what_copies_more_is_not_said_to_copy_less() -> None:
    found = told(make_result(), make_result("rc", values={"R": 0.6006}, paper="a paper"))
    assert found["rc copies more than none by"].value == "10.0 %"


def test_equal_quality_is_called_the_same_and_not_better() -> None:
    found = told(make_result(), make_result("loyal", paper="a paper"))
    assert found["its quality: kernel distance"].detail == "0.00123 for none, lower is better: the same"
