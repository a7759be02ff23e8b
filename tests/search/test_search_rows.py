from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from replication_bench.errors import DataError
from replication_bench.search import NpyRows, ShardedRows, nearest, open_rows


@pytest.fixture
def rows() -> np.ndarray:
    rows = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def saved(folder: Path, rows: np.ndarray, name: str = "rows") -> Path:
    path = folder / f"{name}.npy"
    np.save(path, rows)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_files_answer_as_the_rows_in_memory(tmp_path: Path, rows: np.ndarray, dtype: str) -> None:
    rows = rows.astype(dtype)
    memory = nearest(rows, rows, 2, exclude=np.arange(50))
    path = saved(tmp_path, rows)
    for source in (open_rows(path), np.load(path, mmap_mode="r")):
        found = nearest(source, source, 2, exclude=np.arange(50))
        np.testing.assert_array_equal(found.ids, memory.ids)
        np.testing.assert_array_equal(found.similarity, memory.similarity)


def test_shards_answer_as_one_file(tmp_path: Path, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    rows[45] = rows[2]
    paths = [saved(tmp_path, part, str(i)) for i, part in enumerate(np.split(rows, [7, 7, 30]))]
    monkeypatch.setattr("replication_bench.search.exact.GALLERY_BLOCK", 9)
    found, whole = nearest(rows, open_rows(paths), 3), nearest(rows, rows, 3)
    np.testing.assert_array_equal(found.ids, whole.ids)
    np.testing.assert_array_equal(found.similarity, whole.similarity)


def test_shards_are_read_by_slice_and_by_number(rows: np.ndarray) -> None:
    sharded = ShardedRows([rows[:7], rows[7:8], rows[8:]])
    assert sharded.shape == rows.shape
    for key in (
        slice(None),
        slice(5, 9),
        slice(40, 99),
        slice(9, 3),
        slice(0, 50, 7),
        np.array([[49, 7], [0, 8]]),
    ):
        np.testing.assert_array_equal(sharded[key], rows[key])


def test_float16_costs_little(rows: np.ndarray) -> None:
    full, half = nearest(rows, rows, 3), nearest(rows, rows.astype(np.float16), 3)
    assert np.abs(full.similarity - half.similarity).max() < 1e-3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"no matrix at all", "npy"),
        (np.zeros(4, np.float32), r"float32 \[4\]"),
        (np.zeros((2, 2), np.int64), "int64"),
    ],
)
def test_a_file_that_is_no_matrix_is_one_line(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "rows.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=words) as caught:
        open_rows(path)
    assert str(path) in str(caught.value)


def test_a_file_cut_short_is_one_line(tmp_path: Path, rows: np.ndarray) -> None:
    path = saved(tmp_path, rows)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        NpyRows(path)


def test_shards_of_unlike_widths_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"widths \[5, 12\]"):
        ShardedRows([rows, rows[:, :5]])
    with pytest.raises(DataError, match="at least one"):
        ShardedRows([])
