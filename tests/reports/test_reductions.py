from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_results import make_result
from run_folders import matches_of, result_of, write_run

from replication_bench.results import Result
from reports.board import Leaderboard
from reports.boards import Group
from reports.collect import Run
from reports.formats.data import as_csv, as_json
from reports.grouping import make_boards
from reports.leaderboard import Row
from reports.reductions import LOST, NO_P, ONE_SEED, ONE_TRAINING, compare

TRAIN = [(f"{i}.png", f"picture {i}") for i in range(100)]
COUNT = 200


def loyal_of(root: Path, factors: Sequence[float], floor: float = 0.2) -> Row:
    """The row of ``loyal`` whose similarities are those of ``none`` times ``factors``, one a seed."""
    for seed, factor in enumerate(factors):
        base = matches_of("none", seed, TRAIN, COUNT)
        base["similarity"] = np.random.default_rng(0).uniform(0.4, 0.8, len(base))
        for method, scale in (("none", 1.0), ("loyal", factor)):
            matches = base.assign(similarity=base["similarity"] * scale)
            result = result_of(method, seed, matches, values={"floor_95pc": floor})
            write_run(root / result.id, result, matches, pictures=False)
    (table,) = Leaderboard().tables([root])
    return next(row for row in table.rows if row.label == "loyal")


def test_seeds_that_agree_are_as_sure_as_their_pairs(tmp_path: Path) -> None:
    row = loyal_of(tmp_path, [0.9, 0.9, 0.9])
    assert tuple(row.values["reduction"][:3]) == pytest.approx((0.1, 0.1, 0.1))
    assert row.verdicts["reduction"] == "supported"
    assert row.values["p"].value < 0.001


def test_seeds_that_disagree_leave_undecided_what_their_pairs_alone_would_support(tmp_path: Path) -> None:
    row = loyal_of(tmp_path, [1.0, 0.96])
    found = row.values["reduction"]
    assert tuple(found[:3]) == pytest.approx((0.02, 0.02 - 12.7062 * 0.02, 0.02 + 12.7062 * 0.02), abs=1e-4)
    assert row.verdicts["reduction"] == "undecided"
    assert row.values["p"].value == pytest.approx(0.5, abs=1e-6)  # t = 1 with one degree of freedom


def test_the_floor_widens_the_interval_of_what_is_above_it(tmp_path: Path) -> None:
    row = loyal_of(tmp_path, [0.9, 0.8, 0.85])
    plain, above = row.values["reduction"], row.values["reduction_floor"]
    r = plain.value and above.value and plain.value / above.value  # (R - floor) / R of the reference
    assert (above.high - above.value) * r == pytest.approx(plain.high - plain.value)
    assert row.verdicts["reduction"] == "supported"


def test_one_seed_says_what_its_interval_leaves_out(tmp_path: Path) -> None:
    row = loyal_of(tmp_path, [0.9])
    assert row.values["reduction"].note == ONE_SEED
    assert row.values["p"].value < 0.001


def test_a_seed_whose_reference_does_not_exceed_the_floor_takes_the_interval(tmp_path: Path) -> None:
    for seed, scale in ((0, 1.0), (1, 0.4)):
        base = matches_of("none", seed, TRAIN, COUNT)
        base["similarity"] = np.random.default_rng(seed).uniform(0.4, 0.8, len(base)) * scale
        for method in ("none", "loyal"):
            result = result_of(method, seed, base, values={"floor_95pc": 0.5})
            write_run(tmp_path / result.id, result, base, pictures=False)
    (table,) = Leaderboard().tables([tmp_path])
    found = next(row for row in table.rows if row.label == "loyal").values["reduction_floor"]
    assert found.low is None
    assert "does not exceed the floor" in (found.note or "")


def test_a_comparison_of_fewer_seeds_than_are_shown_says_so(tmp_path: Path) -> None:
    loyal_of(tmp_path, [0.9, 0.8, 0.85])
    shutil.rmtree(next(tmp_path.glob("*loyal-1-*")))
    (table,) = Leaderboard().tables([tmp_path])
    found = next(row for row in table.rows if row.label == "loyal").values
    for name in ("reduction", "reduction_floor", "p"):
        assert found[name].note == "over seeds 0, 2 alone, the ones in common with 'none'"
    assert found["reduction"].value == pytest.approx(0.125)


def test_the_p_of_one_seed_says_what_it_cannot_tell(tmp_path: Path) -> None:
    assert loyal_of(tmp_path, [0.9]).values["p"].note == ONE_TRAINING


def test_a_reference_of_another_budget_or_setting_is_named() -> None:
    def with_rate(result: Result, rate: float) -> Result:
        train = {"train": {"learning_rate": rate}}
        return result.model_copy(update={"config": result.config | train, "id": f"{result.id}-{rate}"})

    fine, none = make_result("loyal", values={"R": 0.4}), make_result()
    dear = make_result("loyal", budget=20_000, values={"R": 0.4})
    found = compare(group_of(dear), group_of(none), "", 0.95)
    for value in (found.reduction, found.above_floor):
        assert "against none of budget 10,000, unlike its own" in str(value.note)
    found = compare(group_of(with_rate(fine, 0.1)), group_of(with_rate(none, 0.2)), "", 0.95)
    assert "against none of learning_rate 0.2, unlike its own" in str(found.reduction.note)
    assert "against" not in str(compare(group_of(fine), group_of(none), "", 0.95).reduction.note)


def test_json_and_csv_name_what_a_row_is_compared_with(tmp_path: Path) -> None:
    loyal_of(tmp_path, [0.9])
    tables = Leaderboard().tables([tmp_path])
    (board,) = json.loads(as_json(tables))["boards"]
    assert [row["against"] for row in board["rows"]] == ["none", "", ""]
    assert [row["against"] for row in csv.DictReader(io.StringIO(as_csv(tables)))] == ["none", "", ""]


def group_of(result: Result) -> Group:
    (board,) = make_boards([Run(result, Path("/nowhere"))])
    return board.groups[0]


def test_a_seed_without_matches_takes_the_p(tmp_path: Path) -> None:
    loyal_of(tmp_path, [0.9, 0.8])
    next(tmp_path.glob("*loyal-1-*/matches.parquet")).unlink()
    (table,) = Leaderboard().tables([tmp_path])
    found = next(row for row in table.rows if row.label == "loyal").values
    assert found["reduction"].note == LOST
    assert (found["p"].value, found["p"].reason) == (None, NO_P)
