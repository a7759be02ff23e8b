from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from made_results import make_result

from replication_bench.errors import DataError
from replication_bench.store import write_json
from reports.board import Leaderboard
from reports.collect import collect


def names(*paths: str | Path) -> list[str]:
    return [run.result.id for run in collect(paths).runs]


def test_a_folder_a_file_and_a_pattern_find_the_same_runs(runs: Path) -> None:
    found = names(runs)
    assert len(found) == 6
    assert sorted(names(f"{runs}/*")) == sorted(names(*runs.glob("*/result.json"))) == sorted(found)


def test_a_run_that_is_named_twice_counts_once(runs: Path) -> None:
    assert len(names(runs, runs, next(runs.iterdir()) / "result.json")) == 6


def test_no_results_are_one_line_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there are no results; in .*run the same command again"):
        collect([tmp_path])
    with pytest.raises(DataError, match=r"no such file or folder; in .*nothing"):
        collect([tmp_path / "nothing"])


def test_a_half_written_result_is_named(runs: Path, tmp_path: Path) -> None:
    whole = next(runs.glob("*/result.json")).read_text(encoding="utf-8")
    (tmp_path / "result.json").write_text(whole[: len(whole) // 2], encoding="utf-8")
    with pytest.raises(DataError, match=r"the result is no JSON object; in .*result\.json"):
        collect([tmp_path])


def test_an_unfinished_run_is_listed_and_not_counted(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    first = next((tmp_path / "runs").iterdir())
    (first / "result.json").unlink()
    (first / "config.json").write_text("{}", encoding="utf-8")
    (first / "seconds.json").write_text("{}", encoding="utf-8")
    found = collect([tmp_path / "runs"])
    assert (len(found.runs), [path.name for path in found.unfinished]) == (5, [first.name])


def test_equal_ids_with_unlike_content_are_refused_with_both_files(runs: Path, tmp_path: Path) -> None:
    first = next(runs.iterdir())
    table = json.loads((first / "result.json").read_text(encoding="utf-8"))
    table["measurements"][0]["value"] += 0.1
    (tmp_path / "result.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        collect([first, tmp_path])
    assert str(first / "result.json") in str(caught.value)
    assert str(tmp_path / "result.json") in str(caught.value)


def test_a_copy_that_differs_only_in_its_timings_is_the_same_result(runs: Path, tmp_path: Path) -> None:
    first = next(runs.iterdir())
    table = json.loads((first / "result.json").read_text(encoding="utf-8"))
    table["cost"]["seconds"]["train"] += 5
    (tmp_path / "result.json").write_text(json.dumps(table), encoding="utf-8")
    found = collect([tmp_path, first])
    assert [run.folder for run in found.runs] == [first]  # the copy that still has its matches


def test_a_result_of_schema_version_1_is_read(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "golden" / "result-v1.json", tmp_path / "result.json")
    (table,) = Leaderboard().tables([tmp_path])
    assert [row.label for row in table.rows] == ["none"]
    assert table.rows[0].values["R"].value == 0.546


def test_matches_without_prompts_and_captions_are_read(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    for path in (tmp_path / "runs").glob("*/matches.parquet"):
        pd.read_parquet(path).drop(columns=["prompt", "train_caption"]).to_parquet(path, index=False)
    (table,) = Leaderboard().tables([tmp_path / "runs"])
    matches = table.board.groups[0].matches[0]
    assert set(matches["prompt"]) == set(matches["train_caption"]) == {""}
    assert next(row for row in table.rows if row.label == "loyal").values["reduction"].low is not None


def test_one_configuration_on_two_devices_is_two_rows(tmp_path: Path) -> None:
    for device, r in (("cpu", 0.5), ("cuda", 0.5000001)):
        result = make_result(values={"R": r}).model_copy(update={"device": device})
        write_json(tmp_path / device / "result.json", result.model_dump(mode="json"))
    (table,) = Leaderboard().tables([tmp_path])
    assert sorted(row.label for row in table.rows) == ["none (device cpu)", "none (device cuda)"]
