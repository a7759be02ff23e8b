from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication_bench.errors import DataError, WeightsError
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


@pytest.mark.parametrize(("queries", "gallery"), [(7, 60), (60, 11), (13, 7), (1, 1)])
def test_blocks_do_not_change_a_bit(
    rows: np.ndarray, monkeypatch: pytest.MonkeyPatch, queries: int, gallery: int
) -> None:
    rows[40:50] = rows[3]
    whole = nearest(rows, rows, 3, exclude=np.arange(60))
    monkeypatch.setattr("replication_bench.search.exact.QUERY_BLOCK", queries)
    monkeypatch.setattr("replication_bench.search.exact.GALLERY_BLOCK", gallery)
    monkeypatch.setattr("replication_bench.search.ties.BLOCK", gallery)
    blocked = nearest(rows, rows, 3, exclude=np.arange(60))
    np.testing.assert_array_equal(blocked.ids, whole.ids)
    np.testing.assert_array_equal(blocked.similarity, whole.similarity)


def test_a_nan_is_told_by_its_row_in_the_whole_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.search.exact.GALLERY_BLOCK", 4)
    gallery = np.ones((20, 3), np.float32)
    gallery[13, 1] = np.inf
    with pytest.raises(DataError, match="1 such rows, first 13"):
        nearest(gallery[:2], gallery)


def test_progress_counts_gallery_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.search.exact.GALLERY_BLOCK", 4)
    seen: list[int] = []
    nearest(np.eye(3), np.ones((10, 3)), progress=seen.append)
    assert seen == [4, 8, 10]


def test_a_crowd_larger_than_a_chunk_is_settled_by_id() -> None:
    gallery = np.eye(5, dtype=np.float32)[np.arange(900) % 5]
    found = nearest(np.repeat(gallery, 2, axis=0)[:700], gallery, 3)
    first = np.arange(700) // 2 % 5
    np.testing.assert_array_equal(found.ids, first[:, None] + [0, 5, 10])


def test_rows_that_differ_by_rounding_only_are_ordered_by_their_float64_products() -> None:
    rng = np.random.default_rng(3)
    row = unit(rng.standard_normal((1, 384)))
    gallery = (row + rng.standard_normal((300, 384)) * 3e-8).astype(np.float32)
    exact = (row.astype(np.float64) @ gallery.T.astype(np.float64)).astype(np.float32)[0]
    best = np.lexsort((np.arange(300), -exact))[:4]
    for count in (1, 30):  # FAISS computes few and many queries by different routes
        np.testing.assert_array_equal(nearest(np.repeat(row, count, axis=0), gallery, 4).ids[-1], best)


MEMORY = """
import resource, sys
import numpy as np
from replication_bench.search import nearest
rng = np.random.default_rng(0)
rows = rng.standard_normal((int(sys.argv[1]), 8), dtype=np.float32)
nearest(rows[:100], rows[:100])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
nearest(rows, rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_peak_memory_does_not_grow_with_queries_times_gallery() -> None:
    peak = subprocess.run(
        [sys.executable, "-c", MEMORY, "24000"], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(peak.stdout) < 150_000, "KiB; the full matrix would take 2,250,000"


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


@pytest.mark.parametrize("exclude", [np.arange(3), np.arange(4.0), np.zeros((4, 1), dtype=int)])
def test_exclude_names_one_row_a_query(exclude: np.ndarray) -> None:
    rows = np.eye(4, dtype=np.float32)
    with pytest.raises(DataError, match=r"want int64 \[4\]"):
        nearest(rows, rows, exclude=exclude)


def test_exclude_needs_one_more_gallery_row(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match="at least 2"):
        nearest(rows[:1], rows[:1], exclude=np.zeros(1, dtype=int))
    with pytest.raises(DataError, match="at least 1"):
        nearest(rows, rows, 0)


def test_what_float32_cannot_hold_is_told() -> None:
    with pytest.raises(DataError, match="infinity"):
        nearest(np.full((1, 3), 1e300), np.eye(3))


@pytest.mark.parametrize(("queries", "copies", "k"), [(1, 9, 1), (40, 9, 2), (40, 40, 3)])
def test_many_equal_rows_still_go_to_the_lowest_ids(queries: int, copies: int, k: int) -> None:
    rng = np.random.default_rng(0)
    gallery = unit(rng.standard_normal((1001, 37)))
    same = np.sort(rng.choice(len(gallery), copies, replace=False))
    gallery[same] = gallery[same[0]]
    found = nearest(np.repeat(gallery[same[:1]], queries, axis=0), gallery, k)
    assert (found.ids == same[:k]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_the_gallery_changes_ids_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = unit(rng.standard_normal((5, 6))), unit(rng.standard_normal((12, 6)))
    order = rng.permutation(len(gallery))
    straight, shuffled = nearest(queries, gallery, 3), nearest(queries, gallery[order], 3)
    np.testing.assert_allclose(shuffled.similarity, straight.similarity, atol=1e-6)
    np.testing.assert_array_equal(order[shuffled.ids], straight.ids)


def test_missing_faiss_names_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(WeightsError, match=r"replbench\[cpu\].*replbench\[gpu\]"):
        nearest(np.eye(3), np.eye(3))
