from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from replication_bench.commands.watch import BLOCKS, TILE, Mosaic, spark, steps
from replication_bench.progress import Point

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("form", ["table", "md", "csv", "tex", "json"])
def test_the_leaderboard_is_printed_in_every_format(runs: Path, replbench: Command, form: str) -> None:
    status, out, err = replbench("leaderboard", runs, "--format", form)
    assert (status, err) == (0, "")
    assert "loyal" in out
    assert "48.63" in out or form == "csv"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sort", "kd_heldot"], "Did you mean 'kd_heldout'?"),
        (["--format", "markdwn"], "unknown format 'markdwn'"),
        (
            ["--column", "R", "--column", "sim_meen"],
            "no column 'sim_meen'; in --column. Did you mean 'sim_mean'?",
        ),
        (
            ["--reference", "nome"],
            "no method 'nome' to count reductions from; in --reference. Did you mean 'none'?",
        ),
    ],
)
def test_bad_flags_are_one_line_and_status_2(
    runs: Path, replbench: Command, flags: list[str], words: str
) -> None:
    status, out, err = replbench("leaderboard", runs, *flags)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_only_the_columns_asked_for_are_shown_in_their_order(runs: Path, replbench: Command) -> None:
    flags = ("--column", "sim_mean", "--column", "R", "--format", "md")
    status, out, _ = replbench("leaderboard", runs, *flags)
    head = next(line for line in out.splitlines() if line.startswith("| # |"))
    assert (status, head) == (0, "| # | method | seeds | mean similarity ↓ (cosine) | R ↓ (cosine) |")


def test_a_reference_that_did_not_run_leaves_reductions_missing(runs: Path, replbench: Command) -> None:
    status, out, err = replbench("leaderboard", runs, "--reference", "loyal+wen")
    assert (status, err) == (0, "")
    assert "no result of 'loyal+wen' to compare with" in out


@pytest.mark.parametrize("command", ["leaderboard", "report"])
def test_no_results_are_one_line_and_status_2(tmp_path: Path, replbench: Command, command: str) -> None:
    (tmp_path / "empty").mkdir()
    status, out, err = replbench(command, tmp_path / "empty")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "there are no results" in err


def test_unlike_protocols_are_refused_with_both_hashes(
    runs: Path, tmp_path: Path, replbench: Command
) -> None:
    table = json.loads(next(runs.glob("*/result.json")).read_text(encoding="utf-8"))
    (tmp_path / "result.json").write_text(
        json.dumps(table | {"protocol": "3" * 64, "id": "other"}), encoding="utf-8"
    )
    status, _, err = replbench("leaderboard", runs, tmp_path, "--together")
    assert status == 2
    assert "protocol hash pppppppppppp" in err
    assert "333333333333" in err
    assert replbench("leaderboard", runs, tmp_path)[0] == 0


def test_a_report_is_written_where_it_is_asked_for(
    runs: Path, tmp_path: Path, replbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import report
    from reports.figures.all import Pictures

    monkeypatch.setattr(report, "pictures", lambda table: Pictures([], []))
    status, out, err = replbench("report", runs, "--out", tmp_path / "out")
    assert status == 0
    assert "report.html" in out
    assert "do not share" not in err
    flags = ("report", runs, "--out", tmp_path / "out", "--show-training-images")
    assert "do not share it" in replbench(*flags)[2]
    status, _, err = replbench(*flags, "--redact")
    assert (status, err.count("\n")) == (2, 1)
    assert "in --show-training-images; got also --redact" in err


def test_watch_shows_a_run_that_works_and_one_that_is_done(
    runs: Path, tmp_path: Path, replbench: Command
) -> None:
    folder = tmp_path / "runs" / "a"
    shutil.copytree(next(runs.iterdir()), folder)
    status, out, _ = replbench("watch", folder, "--once")
    assert status == 0
    assert "finished: R 0." in out
    assert "samples so far: 24" in out
    (folder / "result.json").unlink()
    lines = [
        {"at": 1.0, "step": "none: train all", "done": n, "total": 64, "loss": 1 / (n + 1)} for n in (0, 32)
    ]
    (folder / "progress.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    out = replbench("watch", tmp_path / "runs")[1]
    assert "32 / 64" in out
    assert "to go on, run the same command" in out
    assert f"loss {BLOCKS[-1]}{BLOCKS[0]} 0.0303" in out


@pytest.mark.parametrize(("width", "across"), [(80, 4), (120, 6), (20, 1)])
def test_samples_stand_side_by_side_as_far_as_they_fit(runs: Path, width: int, across: int) -> None:
    paths = tuple(sorted(next(runs.iterdir()).glob("samples/*.png"))[:8])

    def printed(**options: Any) -> str:
        console = Console(width=width, file=io.StringIO(), force_terminal=True, **options)
        console.print(Mosaic(paths))
        return console.file.getvalue()

    rows = -(-len(paths) // across)
    lines = printed(color_system="truecolor").splitlines()
    assert len(lines) == rows * (TILE // 2 + 1)
    assert printed(color_system=None) == ""


def test_watching_nothing_is_one_line(tmp_path: Path, replbench: Command) -> None:
    status, _, err = replbench("watch", tmp_path)
    assert status == 2
    assert "no run to watch" in err


def test_many_losses_fit_on_a_line() -> None:
    line = spark([float(i) for i in range(1000)])
    assert len(line) <= 60
    assert (line[0], line[-1]) == (BLOCKS[0], BLOCKS[-1])


def test_a_step_that_begins_again_has_one_bar() -> None:
    points = [Point(0, "a", 0, 8), Point(1, "a", 4, 8), Point(2, "a", 0, 8), Point(3, "b", 0, 8)]
    assert steps(points).row_count == 2
