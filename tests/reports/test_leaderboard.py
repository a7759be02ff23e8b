from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import matches_of, result_of, write_run, write_runs

from replication_bench.errors import ConfigError
from replication_bench.results import Result
from reports import reductions
from reports.board import Leaderboard
from reports.collect import Run
from reports.grouping import make_boards
from reports.leaderboard import BoardTable, Row
from reports.pareto import front
from reports.reductions import verdict
from reports.values import Value

Make = Callable[..., Result]
TRAIN = [(f"{i}.png", f"picture {i}") for i in range(8)]
NOWHERE = Path("/nowhere")


def table_of(*results: Result, sort: str = "R") -> BoardTable:
    (board,) = make_boards([Run(result, NOWHERE) for result in results])
    return BoardTable(board, sort=sort)


def row(table: BoardTable, label: str) -> Row:
    return next(row for row in table.rows if row.label == label)


def test_seeds_of_one_setting_are_one_row(runs: Path) -> None:
    (table,) = Leaderboard().tables([runs])
    assert {row.label: row.seeds for row in table.rows if row.seeds} == {
        "none": (0, 1),
        "dual": (0, 1),
        "loyal": (0, 1),
    }


def test_rows_of_one_method_are_told_apart_by_what_differs(make: Make) -> None:
    def with_tau(tau: int) -> Result:
        made = make("loyal", values={"R": tau / 1000})
        config = {**made.config, "method": {"name": "loyal", "options": {"loyal": {"tau": tau}}}}
        return made.model_copy(update={"config": config, "id": f"loyal-{tau}"})

    table = table_of(with_tau(300), with_tau(700))
    assert [r.label for r in table.rows if r.seeds] == ["loyal (tau 300)", "loyal (tau 700)"]


def test_results_of_audits_have_boards_too(make: Make) -> None:
    audit = make().model_copy(update={"kind": "audit", "method": None, "config": {"train": "/a/folder"}})
    assert [r.label for r in table_of(audit, audit.model_copy(update={"id": "b"})).rows] != []


def test_rank_follows_the_direction_of_the_metric(make: Make, none: Result) -> None:
    other = make("loyal", values={"R": 0.4, "sim_mean": 0.9}, paper="a paper")
    assert [r.label for r in table_of(none, other).rows if r.seeds] == ["loyal", "none"]
    assert [r.label for r in table_of(none, other, sort="sim_mean").rows if r.seeds] == ["none", "loyal"]
    assert next(r.label for r in table_of(none, other, sort="reduction").rows) == "loyal"


def test_closer_to_zero_is_better_where_zero_is_ideal(make: Make) -> None:
    below = make("none", values={"sim_gt_05pc": -0.1})
    above = make("loyal", values={"sim_gt_05pc": 0.3}, paper="a paper")
    assert next(r.label for r in table_of(above, below, sort="sim_gt_05pc").rows) == "none"


def test_controls_stand_in_order_without_a_rank(none: Result, dual: Result, loyal: Result) -> None:
    found = {r.label: (r.rank, r.role) for r in table_of(none, dual, loyal).rows if r.role != "reported"}
    assert found == {"dual": (None, "control"), "loyal": (1, "method"), "none": (2, "reference")}


def test_a_dearer_row_is_a_control(make: Make, none: Result) -> None:
    table = table_of(none, make(budget=20_000, images=20_000, seed=1))
    assert {r.label: r.role for r in table.rows} == {
        "none (budget 10,000)": "reference",
        "none (budget 20,000)": "control",
    }


def test_one_small_run_makes_no_controls_of_all_others(make: Make, none: Result, loyal: Result) -> None:
    table = table_of(none, loyal, make(budget=64, images=64))
    assert {r.label: r.role for r in table.rows if r.seeds} == {
        "loyal": "method",
        "none (budget 10,000)": "reference",
        "none (budget 64)": "control",
    }


def test_a_control_is_no_yardstick_of_the_data_side(make: Make, none: Result, loyal: Result) -> None:
    dear = make("gc", budget=20_000, values={"R": 0.1}, paper="a paper")
    assert table_of(none, loyal, dear).best is None
    assert table_of(none, loyal, make("gc", paper="a paper")).best.label == "gc"


def test_of_a_path_only_its_last_name_is_told(make: Make) -> None:
    def reading(path: str) -> Result:
        made = make("gc")
        config = {**made.config, "method": {"name": "gc", "options": {"gc": {"captions": path}}}}
        return made.model_copy(update={"config": config, "id": path.replace("/", "-")})

    table = table_of(*map(reading, ("/home/anna/acme/a.json", "/home/anna/acme/b.json", "/home/bert/b.json")))
    assert [r.label for r in table.rows if r.seeds] == [
        "gc (captions a.json)",
        "gc (captions b.json)",
        "gc (captions b.json), 2",
    ]


def test_a_missing_value_is_last_with_its_reason(none: Result, dual: Result) -> None:
    table = table_of(none, dual, sort="r_star")
    assert [r.label for r in table.rows] == ["none", "dual"]
    assert row(table, "dual").values["r_star"].reason == "ceiling - floor < 0.05"
    assert row(table, "dual").values["r_star"].value is None


def test_an_unknown_column_is_answered_with_the_closest(none: Result) -> None:
    with pytest.raises(ConfigError, match=r"no column 'kd_heldaut'.*Did you mean 'kd_heldout'\?"):
        table_of(none, sort="kd_heldaut")


def test_of_many_columns_only_the_closest_is_named(make: Make) -> None:
    many = make(values={f"metric_{i}": 0.5 for i in range(50)})
    with pytest.raises(ConfigError, match=r"no column 'metric_x'.*Did you mean 'metric_\d+'\?$"):
        table_of(many, sort="metric_x")


@pytest.mark.parametrize(
    ("change", "first", "second"),
    [
        ({"data": "1" * 64}, "dataset fingerprint dddddddddddd", "111111111111"),
        ({"protocol": "3" * 64}, "protocol hash pppppppppppp", "333333333333"),
        ({"budget_rule": "per_stage"}, "budget rule total", "per_stage"),
    ],
)
def test_unlike_results_get_two_boards_and_are_never_forced_into_one(
    make: Make, none: Result, change: dict[str, str], first: str, second: str
) -> None:
    runs = [Run(none, NOWHERE), Run(make("loyal", **change), NOWHERE)]
    assert len(make_boards(runs)) == 2
    with pytest.raises(ConfigError) as caught:
        make_boards(runs, together=True)
    assert first in str(caught.value)
    assert second in str(caught.value)


def further(result: Result, name: str, protocol: str) -> Result:
    """The result with one more measurement, in another embedder's space."""
    found = result.measurements[0].model_copy(update={"name": name, "embedder": "clip", "protocol": protocol})
    return result.model_copy(update={"measurements": (*result.measurements, found)})


def test_unlike_protocols_of_a_further_embedder_are_unlike_boards(
    none: Result, loyal: Result, dual: Result
) -> None:
    results = [further(none, "fd_clip", "4" * 64), further(loyal, "fd_clip", "5" * 64), dual]
    runs = [Run(result, NOWHERE) for result in results]
    boards = make_boards(runs)
    assert [[g.label for g in board.groups] for board in boards] == [["none", "dual"], ["loyal"]]
    assert boards[0].id != boards[1].id
    with pytest.raises(ConfigError, match=r"protocol of fd_clip 4{12} .* and 5{12}"):
        make_boards(runs, together=True)
    alike = [further(none, "fd_clip", "4" * 64), further(loyal, "fd_clip", "4" * 64)]
    assert len(make_boards([Run(result, NOWHERE) for result in alike], together=True)) == 1
    spread = [further(none, "fd_clip", "4" * 64), further(loyal, "fd_dino", "5" * 64)]
    assert len(make_boards([Run(result, NOWHERE) for result in spread], together=True)) == 1


def test_a_seed_counts_once(make: Make) -> None:
    first, again = make(), make().model_copy(update={"id": "again", "device": "cuda, H100"})
    other, fine = make(seed=1), make(method="loyal")
    table = table_of(first, again, fine)
    assert {r.label: r.seeds for r in table.rows if r.seeds} == {
        "none (device cpu)": (0,),
        "none (device cuda, H100)": (0,),
        "loyal": (0,),
    }
    near = make(method="loyal", values={"R": 0.5}).model_copy(update={"device": "cuda, H100"})
    slow = table_of(first, again, near).comparisons["loyal"][0].against
    assert slow == "none (device cuda, H100)"
    assert [r.seeds for r in table_of(first, other.model_copy(update={"device": "cuda, H100"})).rows] == [
        (0, 1)
    ]
    twice = table_of(first, make().model_copy(update={"id": "twice"}))
    assert [r.label for r in twice.rows] == [f"none (id {first.id})", "none (id twice)"]


def test_without_matches_there_is_a_reduction_but_no_interval(none: Result, loyal: Result) -> None:
    table = table_of(none, loyal)
    found = row(table, "loyal").values["reduction"]
    assert found.value == pytest.approx(1 - 0.509 / 0.546)
    assert (found.low, found.note) == (None, "no interval: the matches of a run are missing")
    assert (
        row(table, "loyal").values["p"].reason == "needs 10 prompts that both drew with the same noise, got 0"
    )
    assert next(claim.verdict for claim in table.claims) == "undecided: no interval"


@pytest.mark.parametrize(
    ("low", "high", "claim", "expected"),
    [
        (0.1, 0.2, 0.0, "supported"),
        (-0.2, -0.1, 0.0, "not supported"),
        (-0.1, 0.1, 0.0, "undecided"),
        (0.0, 0.0, 0.0, "not supported"),
        (0.03, 0.1, 0.4863, "not supported"),
        (0.5, 0.6, 0.4863, "supported"),
        (0.4, 0.6, 0.4863, "undecided"),
    ],
)
def test_a_verdict_follows_from_the_interval(low: float, high: float, claim: float, expected: str) -> None:
    assert verdict(Value((low + high) / 2, low, high), claim) == expected
    assert verdict(Value((low + high) / 2), claim) == "undecided"


def test_a_printed_reduction_is_judged_in_both_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reductions, "side_of", lambda method: "data" if method == "dual" else "other")
    monkeypatch.setattr("reports.leaderboard.why_control", lambda *_: "")  # dual was published nowhere
    (table,) = Leaderboard().tables([write_runs(tmp_path, count=200, seeds=range(3))])
    assert [(c.reading, c.claimed, c.verdict) for c in table.claims] == [
        ("none", 0.4863, "not supported here"),
        ("dual", 0.4863, "not supported here"),
    ]
    assert row(table, "dual").values["reduction_best"].reason == "this is what the others are compared with"


def test_printed_numbers_have_rows_of_their_own_without_measured_values(runs: Path) -> None:
    (table,) = Leaderboard().tables([runs])
    printed = row(table, "loyal, as printed")
    assert (printed.role, printed.rank, printed.seeds) == ("reported", None, ())
    assert printed.values["reduction"].value == pytest.approx(0.4863)
    assert printed.values["R"].value is None
    assert "SD 2.1, LAION, other protocol" in printed.why


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    assert front({"a": (1, 4), "b": (2, 2), "c": (3, 3), "d": (2, 2), "e": (4, 1)}) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("alignment_mean", "clip_score"), "clip_score"),
        (("clip_sim_mean", "alignment_mean"), "alignment_mean"),
        (("clip_score_train", "clip_sim_mean", "clip_sim_95pc"), None),
    ],
)
def test_alignment_has_a_front_of_its_own_where_it_was_measured(
    none: Result, loyal: Result, names: tuple[str, ...], chosen: str | None
) -> None:
    def with_alignment(result: Result, value: float) -> Result:
        first = result.measurements[0]
        found = [first.model_copy(update={"name": n, "value": value, "better": "up"}) for n in names]
        return result.model_copy(update={"measurements": (*result.measurements, *found)})

    table = table_of(with_alignment(none, 0.3), with_alignment(loyal, 0.2))
    front = ("kd_heldout", chosen) if chosen else ("kd_heldout",)
    assert {r.label: r.front for r in table.rows if r.seeds} == {"loyal": front, "none": front}
    shown = {column.key: column.title for column in table.columns}
    assert shown.keys() & set(names) == ({chosen} if chosen else set())
    assert not chosen or shown[chosen].startswith("text alignment")


def test_rows_of_another_prompt_are_not_paired(tmp_path: Path) -> None:
    for method in ("none", "loyal"):
        matches = matches_of(method, 0, TRAIN, 20)
        matches["prompt"] += method
        write_run(tmp_path / method, result_of(method, 0, matches), matches, pictures=False)
    (table,) = Leaderboard().tables([tmp_path])
    assert row(table, "loyal").values["reduction"].low is None


def test_the_command_line_result_is_json_with_reasons(runs: Path) -> None:
    leaderboard = Leaderboard()
    found = json.loads(leaderboard.text(leaderboard.tables([runs]), "json"))
    reference = next(r for r in found["boards"][0]["rows"] if r["role"] == "reference")
    assert reference["values"]["reduction"] == {
        "value": None,
        "reason": "this is what the others are compared with",
    }
    with pytest.raises(ConfigError, match=r"unknown format 'jsn'.*Did you mean 'json'"):
        leaderboard.text([], "jsn")


def test_a_broken_table_of_matches_costs_its_intervals_and_not_the_board(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    next((tmp_path / "runs").glob("made-loyal-0-*/matches.parquet")).write_bytes(b"PAR1 no")
    (table,) = Leaderboard().tables([tmp_path / "runs"])
    assert row(table, "loyal").values["reduction"].note == "no interval: the matches of a run are missing"
