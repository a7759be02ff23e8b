from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from replication_bench.audit import alike
from replication_bench.audit.alike import alike_cached
from replication_bench.duplicates import Alike, find_alike
from replication_bench.evidence import unit_rows
from replication_bench.store import cache_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def vectors() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(30, 8))
    rows[7] = rows[3]
    return unit_rows(rows)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every comparison that is not taken from the cache."""
    calls: list[int] = []

    def counted(rows: np.ndarray, *rest: object) -> Alike:
        calls.append(len(rows))
        return find_alike(rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(alike, "find_alike", counted)
    return calls


def test_a_gallery_is_compared_once_for_each_content(vectors: np.ndarray, computed: list[int]) -> None:
    told: list[int] = []
    first = alike_cached(vectors, 0.9, told.append)
    again = alike_cached(vectors.copy(), 0.9, told.append)
    assert (computed, told) == ([30], [30, 30])
    assert first.labels[7] == 3
    for field in ("labels", "closest", "same", "threshold"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
    alike_cached(vectors, 0.8, told.append)
    moved = vectors.copy()
    moved[0] = -moved[0]
    alike_cached(moved, 0.9, told.append)
    alike_cached(vectors[:, ::-1], 0.9, told.append)
    assert len(computed) == 4


def test_a_damaged_file_is_computed_again(vectors: np.ndarray, computed: list[int]) -> None:
    alike_cached(vectors, 0.9, lambda done: None)
    (path,) = (cache_folder() / "alike").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    alike_cached(vectors, 0.9, lambda done: None)
    assert len(computed) == 2
