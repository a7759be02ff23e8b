from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replication_bench.cli import main
from replication_bench.results import DatasetRecord, Measurement, MethodRecord, Result
from replication_bench.store import write_json


def folder(
    path: Path, similarity: np.ndarray, method: str = "none", prompts: str = "p", **facts: object
) -> Path:
    path.mkdir()
    table = pd.DataFrame(
        {
            "generated": [f"{i:05d}" for i in range(len(similarity))] * 2,
            "rank": [1] * len(similarity) + [2] * len(similarity),
            "train": "t",
            "similarity": [*similarity, *(similarity - 0.1)],
            "prompt": prompts,
        }
    )
    table.sample(frac=1, random_state=len(method)).to_parquet(path / "matches.parquet", index=False)
    record: dict = {
        "kind": "audit",
        "id": method,
        "fingerprint": "f",
        "config": {"sample": {"samples": 40}},
        "method": MethodRecord(name=method),
        "dataset": DatasetRecord(name="d", fingerprint="data", train=9, heldout=9),
        "embedder": {"name": "sscd"},
        "protocol": "protocol",
        "seed": 0,
        "measurements": (Measurement(name="threshold", value=0.6),),
        **facts,
    }
    write_json(path / "result.json", Result(**record).model_dump(mode="json"))
    return path


def similarities() -> tuple[np.ndarray, np.ndarray]:
    a = np.linspace(0.2, 0.9, 40)
    b = a.copy()
    b[30:35], b[3] = 0.1, 0.95
    return a, b


def test_the_comparison_counts_flips_and_pairs_images_by_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = similarities()
    main(["compare", *map(str, (folder(tmp_path / "a", a), folder(tmp_path / "b", b, "loyal"))), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["a"], found["b"]) == ("none (seed 0)", "loyal (seed 0)")
    assert found["statistics"]["sim_mean"]["difference"] == pytest.approx((b - a).mean())
    assert found["statistics"]["sim_mean"]["n"] == 40
    assert set(found["flips"]) == {"0.5", "0.75", "calibrated"}
    assert (found["flips"]["0.5"]["to_original"], found["flips"]["0.5"]["to_copy"]) == (5, 1)
    assert found["flips"]["calibrated"]["threshold"] == 0.6


def test_the_table_says_who_is_who(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = similarities()
    main(["compare", str(folder(tmp_path / "a", a)), str(folder(tmp_path / "b", b, "loyal"))])
    out = " ".join(capsys.readouterr().out.split())
    assert "5 turned from copy to original, 1 back" in out
    assert "B - A" in out


def test_a_run_equals_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(folder(tmp_path / "a", similarities()[0]))
    main(["compare", one, one, "--json", "--bootstrap", "50"])
    found = json.loads(capsys.readouterr().out)["statistics"]
    assert all(s["difference"] == 0 and s["p"] == 1 for s in found.values())


def test_matches_alone_are_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = folder(tmp_path / "a", similarities()[0])
    (one / "result.json").unlink()
    main(["compare", str(one), str(one), "--json", "--bootstrap", "20"])
    found = json.loads(capsys.readouterr().out)
    assert found["a"] == "a"
    assert set(found["flips"]) == {"0.5", "0.75"}


def spoil(path: Path, change: str) -> None:
    file = path / "matches.parquet"
    table = pd.read_parquet(file)
    if change == "no parquet":
        file.write_bytes(b"PAR1 broken")
    elif change == "no file":
        file.unlink()
    elif change == "no column":
        table.drop(columns="similarity").to_parquet(file)
    elif change == "twice":
        pd.concat([table, table]).to_parquet(file)
    elif change == "NaN":
        table.assign(similarity=np.nan).to_parquet(file)
    elif change == "empty":
        table[:0].to_parquet(file)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("no parquet", "cannot be read"),
        ("no file", "there are no matches"),
        ("no column", "no column similarity"),
        ("twice", "damaged"),
        ("NaN", "damaged"),
        ("empty", "damaged"),
    ],
)
def test_bad_matches_are_one_line(
    change: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = similarities()
    first, second = folder(tmp_path / "a", a), folder(tmp_path / "b", b)
    spoil(second, change)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(first), str(second)])
    assert stopped.value.code == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"prompts": "q"}, "40 unlike prompts"),
        ({"seed": 1}, "differ in seed; got 0 and 1"),
        ({"protocol": "another"}, "differ in protocol"),
        ({"dataset": DatasetRecord(name="d", fingerprint="x", train=9, heldout=9)}, "differ in data"),
        ({"config": {"sample": {"samples": 41}}}, "differ in sample"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(
    other: dict, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = similarities()
    first, second = folder(tmp_path / "a", a), folder(tmp_path / "b", b, **other)
    with pytest.raises(SystemExit):
        main(["compare", str(first), str(second)])
    assert line in capsys.readouterr().err


def test_other_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = similarities()
    first, second = folder(tmp_path / "a", a), folder(tmp_path / "b", b[:39])
    with pytest.raises(SystemExit):
        main(["compare", str(first), str(second)])
    assert "40 and 39 images" in capsys.readouterr().err
