from __future__ import annotations

from pathlib import Path

import pytest
from made_results import make_result

from replication_bench.results import Result
from reports.collect import Run
from reports.figure_files import write_figures
from reports.figures.ablations import pictures
from reports.figures.all import Pictures
from reports.figures.style import Picture
from reports.grouping import make_boards
from reports.leaderboard import BoardTable
from reports.report import Report


def drawing(name: str) -> Picture:
    return Picture(name, name, "", "", 1, lambda figure: None)


def varied(**settings: list[object]) -> list[Picture]:
    """The ablations of results of ``loyal`` in which each of these settings was varied alone."""

    def result(key: str, value: object) -> Result:
        made = make_result("loyal", values={"R": 0.4})
        config = {**made.config, **{name: values[0] for name, values in settings.items()}, key: value}
        return made.model_copy(update={"config": config, "id": f"{key}-{value}"})

    results = [result(key, value) for key, values in settings.items() for value in values]
    (board,) = make_boards([Run(one, Path("/nowhere")) for one in results])
    return pictures(BoardTable(board))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    drawn = varied(**{"x/../../../../evil": [1, 2], "..\\evil": [1, 2]})
    written = write_figures([("", Pictures(drawn, []))], tmp_path / "out" / "figures")
    assert len(written) == 4
    assert {path.resolve().parent for path in written} == {tmp_path / "out" / "figures"}
    assert names(tmp_path) == ["out"]
    assert all("\\" not in path.name for path in written)


def test_pictures_of_one_name_have_a_file_each(tmp_path: Path) -> None:
    drawn = [drawing("ablation-a/b"), drawing("ablation-a b"), drawing("ablation-A-b")]
    assert {path.stem for path in write_figures([("", Pictures(drawn, []))], tmp_path)} == {
        "ablation-a-b",
        "ablation-a-b-2",
        "ablation-A-b-3",
    }


def test_settings_of_one_last_word_are_told_apart() -> None:
    rates = {
        "method.options.gc.rate": [1, 2],
        "method.options.df.rate": [1, 2],
        "method.options.df.pool": [1, 2],
    }
    assert {(picture.name, picture.title) for picture in varied(**rates)} == {
        ("ablation-loyal-gc.rate", "loyal: gc.rate"),
        ("ablation-loyal-df.rate", "loyal: df.rate"),
        ("ablation-loyal-pool", "loyal: pool"),
    }


def test_pictures_of_an_earlier_report_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_text("")
    old = [drawing("ablation-loyal-tau"), drawing("replication-kd_heldout"), drawing("distributions")]
    write_figures([("0123abcd-", Pictures(old, [])), ("", Pictures(old, []))], tmp_path)
    write_figures([("", Pictures([drawing("distributions")], []))], tmp_path)
    assert names(tmp_path) == ["distributions.png", "distributions.svg", "mine.png"]


def test_a_report_in_the_place_of_another_leaves_none_of_its_pictures(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("duplication", "distributions"):
        drawn = Pictures([drawing(name)], [])
        monkeypatch.setattr("reports.report.pictures", lambda table, drawn=drawn: drawn)
        Report().build([runs], tmp_path, gallery=1)
    assert names(tmp_path / "figures") == ["distributions.png", "distributions.svg"]
