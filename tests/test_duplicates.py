from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication_bench.duplicates import connected, find_alike
from replication_bench.errors import ConfigError


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def turned(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def brute_force(similarity: np.ndarray, threshold: float) -> list[set[int]]:
    """Groups by walking from image to image."""
    left, groups = set(range(len(similarity))), []
    while left:
        group, edge = set(), {min(left)}
        while edge:
            group |= edge
            edge = {j for i in edge for j in np.flatnonzero(similarity[i] > threshold).tolist()} - group
        left -= group
        groups.append(group)
    return groups


def test_chains_of_likeness_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.array([turned(0), turned(30), turned(180), turned(60)], dtype=np.float32)
    for rows in (1, 3, 1024):
        monkeypatch.setattr("replication_bench.duplicates.ROWS", rows)
        labels = connected(vectors, 0.75)
        assert labels[0] == labels[1] == labels[3] != labels[2]
        assert len(set(connected(vectors, 0.9))) == 4


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), rows=st.sampled_from([1, 4, 7, 64]))
def test_groups_and_nearest_others_equal_brute_force(seed: int, n: int, rows: int) -> None:
    vectors = unit(np.random.default_rng(seed).standard_normal((n, 3)))
    full = vectors @ vectors.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication_bench.duplicates.ROWS", rows)
        found = find_alike(vectors, 0.8)
    groups = brute_force(full, 0.8)
    assert {frozenset(np.flatnonzero(found.labels == label)) for label in set(found.labels.tolist())} == {
        frozenset(group) for group in groups
    }
    assert found.groups() == sorted((sorted(g) for g in groups if len(g) > 1), key=lambda g: (-len(g), g[0]))
    np.fill_diagonal(full, -1)
    np.testing.assert_allclose(found.closest, full.max(axis=1), atol=1e-6)
    assert [found.sizes[i] for g in groups for i in g] == [len(g) for g in groups for _ in g]


@pytest.mark.parametrize("rows", [2, 3, 100])
def test_nearly_equal_images_are_counted_with_themselves(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr("replication_bench.duplicates.ROWS", rows)
    vectors = np.array([turned(a) for a in (0, 90, 5, 180, 12, 95)], np.float32)
    assert find_alike(vectors).same.tolist() == [3, 2, 3, 1, 3, 2]


def test_equal_images_are_one_group_at_any_threshold_below_one() -> None:
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:2], [3, 1], axis=0)
    found = find_alike(vectors, 0.999)
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.sizes.tolist() == [3, 3, 3, 1]
    assert find_alike(vectors, 1.0).groups() == []


def test_memory_does_not_grow_with_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.duplicates.ROWS", 128)
    vectors = unit(np.random.default_rng(0).standard_normal((4000, 16)))
    vectors[::40] = vectors[0]
    tracemalloc.start()
    found = find_alike(vectors, 0.99)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.sizes[0] == 100
    assert peak < 4000 * 4000  # one byte an entry would already be this much


def test_no_images_and_one_image() -> None:
    assert find_alike(np.zeros((0, 3), np.float32)).groups() == []
    assert find_alike(np.eye(3, dtype=np.float32)[:1]).closest.tolist() == [-1]


@pytest.mark.parametrize("threshold", [1.5, -2.0])
def test_a_threshold_that_is_no_cosine_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="no such similarity"):
        find_alike(np.eye(3, dtype=np.float32), threshold)
