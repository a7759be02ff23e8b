from __future__ import annotations

import numpy as np
import pytest

from replication_bench.errors import DataError
from replication_bench.search import nearest


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rows() -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((60, 16)))


def test_equals_brute_force(rows: np.ndarray) -> None:
    queries, gallery = rows[:20], rows[20:]
    full = queries @ gallery.T
    found = nearest(queries, gallery, 3)
    np.testing.assert_array_equal(found.ids, np.argsort(-full, axis=1)[:, :3])
    np.testing.assert_allclose(found.similarity, -np.sort(-full, axis=1)[:, :3], atol=1e-6)


def test_self_is_excluded_by_id_among_planted_duplicates(rows: np.ndarray) -> None:
    gallery = np.concatenate([rows, rows[:1], rows[:1]])
    found = nearest(gallery, gallery, exclude=np.arange(len(gallery)))
    assert (found.ids[:, 0] != np.arange(len(gallery))).all()
    assert found.similarity[[0, 60, 61], 0] == pytest.approx(1, abs=1e-6)
    assert found.similarity[1:60, 0].max() < 0.95


def test_equal_similarities_go_to_the_lowest_id() -> None:
    gallery = np.eye(4, dtype=np.float32)[[1, 0, 0, 2]]
    assert nearest(np.eye(4, dtype=np.float32)[:1], gallery, 2).ids.tolist() == [[1, 2]]


def test_blocks_do_not_change_the_answer(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest(rows, rows, 2)
    monkeypatch.setattr("replication_bench.search.BLOCK", 7)
    np.testing.assert_array_equal(nearest(rows, rows, 2).ids, whole.ids)


@pytest.mark.parametrize(
    ("queries", "gallery", "k", "words"),
    [
        (np.ones((2, 3)), np.ones((4, 5)), 1, "3 features"),
        (np.ones((2, 3)), np.ones((1, 3)), 2, "at least 2"),
        (np.full((2, 3), np.nan), np.ones((4, 3)), 1, "NaN"),
        (np.ones(3), np.ones((4, 3)), 1, "matrix"),
    ],
)
def test_bad_rows_are_one_line(queries: np.ndarray, gallery: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        nearest(queries, gallery, k)
