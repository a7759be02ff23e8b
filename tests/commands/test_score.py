from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from replication_bench.arrays import read_npy
from replication_bench.cli import main
from replication_bench.errors import DataError
from replication_bench.results import Result, read_result


def rows(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def score(tmp_path: Path, *flags: str, **arrays: object) -> None:
    parts = ["score"]
    for name, array in arrays.items():
        path = tmp_path / f"{name}.npy"
        if isinstance(array, bytes):
            path.write_bytes(array)
        elif array is not None:
            np.save(path, np.asarray(array), allow_pickle=True)
        parts += [f"--{name}", str(path)]
    main([*parts, "--bootstrap", "10", *flags])


def test_json_is_a_result_without_method_backbone_and_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(
        tmp_path, "--json", "--k", "3", generated=rows(20), train=rows(30, seed=1), heldout=rows(25, seed=2)
    )
    out = capsys.readouterr().out
    (tmp_path / "result.json").write_text(out, encoding="utf-8")
    result = read_result(tmp_path / "result.json")
    assert isinstance(result, Result)
    assert (result.method, result.backbone, result.cost) == (None, None, None)
    assert (result.dataset.train, result.dataset.heldout, result.config["k"]) == (30, 25, 3)
    assert result.board[0] == result.dataset.fingerprint
    assert result.value("kd_heldout") is not None


def test_equal_input_gives_equal_numbers_and_other_rows_another_fingerprint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for seed in (0, 0, 5):
        score(tmp_path, "--json", generated=rows(20, seed=seed), train=rows(30, seed=1))
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["measurements"] == found[1]["measurements"]
    assert found[0]["fingerprint"] == found[1]["fingerprint"] != found[2]["fingerprint"]
    assert found[0]["dataset"]["fingerprint"] == found[2]["dataset"]["fingerprint"]


def test_the_table_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(tmp_path, generated=rows(20), train=rows(30, seed=1))
    out = " ".join(capsys.readouterr().out.split())
    assert "sim_mean ↓" in out
    assert "no held-out images" in out
    assert "interval" in out


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "uint8", ">f8"])
def test_numbers_of_any_width_are_taken(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = np.random.default_rng(0).integers(1, 9, (20, 4)).astype(dtype)
    score(tmp_path, "--json", generated=whole, train=whole)
    found = {m["name"]: m["value"] for m in json.loads(capsys.readouterr().out)["measurements"]}
    assert found["sim_mean"] == pytest.approx(1)


@pytest.mark.parametrize("other", ["float16", "float32"])
def test_arrays_of_unlike_precision_are_compared_in_the_wider_one(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated, train, heldout = (rows(n, seed=n).astype(other).astype(np.float64) for n in (80, 90, 70))
    found = []
    for narrow in (generated.astype(other), generated):
        score(tmp_path, "--json", generated=narrow, train=train, heldout=heldout)
        found.append(json.loads(capsys.readouterr().out)["measurements"])
    assert found[0] == found[1]
    assert next(m for m in found[0] if m["name"] == "c_t")["value"] is not None


def holed(value: float) -> np.ndarray:
    made = rows(20)
    made[7, 2] = value
    return made


BAD = {
    "NaN": (holed(np.nan), "NaN or infinity", "1 such rows, first 7"),
    "infinity": (holed(np.inf), "NaN or infinity", "first 7"),
    "too large": (holed(1e30), "beyond 1e+18", "first 7"),
    "a zero row": (np.vstack([rows(19), np.zeros(6)]), "no direction", "first 19"),
    "another width": (rows(20, 5), "number of features", "want as many as the generated rows have, 6"),
    "fewer rows than k": (rows(5), "too few rows", "got 5; want at least 6"),
    "empty": (np.zeros((0, 6)), "too few rows", "got 0"),
    "no features": (np.zeros((20, 0)), "number of features", "got 0"),
    "one dimension": (np.zeros(20), "must be a matrix", "shape (20,)"),
    "three dimensions": (np.zeros((20, 3, 2)), "must be a matrix", "shape (20, 3, 2)"),
    "a scalar": (np.float64(3), "must be a matrix", "shape ()"),
    "words": (np.array([["a"] * 6] * 20), "must be numbers", "<U1"),
    "complex numbers": (rows(20) * 1j, "must be numbers", "complex128"),
    "truth values": (np.ones((20, 6), bool), "must be numbers", "bool"),
    "objects": (np.array([[object()] * 6] * 20, dtype=object), "never unpickled", "Save it as numbers"),
    "a pickle": (pickle.dumps(rows(20)), "no NumPy array", "a pickle, which is never loaded"),
    "a zip": (b"PK\x03\x04 and so on", "no NumPy array", "numpy.savez"),
    "an empty file": (b"", "no NumPy array", "an empty file"),
    "text": (b"1,2,3\n4,5,6\n", "no NumPy array", "another format"),
    "a cut file": (b"\x93NUMPY\x01\x00v\x00{'descr'", "damaged", "train.npy"),
    "nothing": (None, "cannot be read", "No such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, what, detail = BAD[case]
    with pytest.raises(SystemExit) as stopped:
        score(tmp_path, generated=rows(20), train=train)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert stopped.value.code == 2
    assert line.startswith("replbench: ")
    assert what in line
    assert detail in line
    assert "train.npy" in line


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_held_out_rows_may_not_be_training_rows(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, heldout = rows(30, seed=1), rows(25, seed=2)
    heldout[4], heldout[9] = train[7], train[2]
    with pytest.raises(SystemExit) as stopped:
        score(tmp_path, generated=rows(20), train=train, heldout=heldout.astype(dtype))
    assert stopped.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "held-out rows that are training rows" in line
    assert "heldout.npy; got 2 of 25 shared, first row 4 = training row 7" in line


@pytest.mark.parametrize(
    ("flags", "where"),
    [(["--k", "0"], "--k"), (["--bootstrap", "-1"], "--bootstrap"), (["--confidence", "1"], "--confidence")],
)
def test_numbers_that_cannot_be_meant_are_one_line(
    flags: list[str], where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        score(tmp_path, *flags, generated=rows(20), train=rows(20))
    assert stopped.value.code == 2
    assert where in capsys.readouterr().err


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "run",))

    path = tmp_path / "trap.npy"
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="never unpickled"):
        read_npy(path)
    assert not (tmp_path / "run").exists()


def test_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_npy(tmp_path)
