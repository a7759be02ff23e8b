from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.dedup import Dedup, kept_rows
from replication_bench.data.example import Example, Examples
from replication_bench.embedders.protocol import Vectors
from replication_bench.method import Context
from replication_bench.testing import planted_folder
from replication_bench.testing.case import vectors_of

pytest.importorskip("faiss")


def unit(rows: np.ndarray) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def by_hand(vectors: Vectors, threshold: float) -> list[int]:
    kept: list[int] = []
    for row in range(len(vectors)):
        if all(float(np.dot(vectors[row], vectors[other])) <= threshold for other in kept):
            kept.append(row)
    return kept


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Examples, list[tuple[str, str]]]:
    pairs = planted_folder(tmp_path, 12, duplicates=4)

    def example(path: Path) -> Example:
        return Example(path.name, ("a caption",), lambda: Image.open(path).convert("RGB"), path.name)

    return Examples(tuple(example(path) for path in sorted(tmp_path.glob("*.png")))), pairs


def test_planted_duplicates_go_and_their_originals_stay(
    planted: tuple[Examples, list[tuple[str, str]]], ctx: Context
) -> None:
    data, pairs = planted
    ctx.vectors = vectors_of
    method = Dedup(threshold=0.98)
    kept = method.dataset(data, ctx)
    assert set(data.ids) - set(kept.ids) == {duplicate for _, duplicate in pairs}
    (fact,) = method.facts((), kept, ctx)
    assert (fact.name, fact.value, fact.n) == ("dedup_dropped", 4, 12)


def test_a_training_set_without_duplicates_stays_as_it_is(examples: Examples, ctx: Context) -> None:
    ctx.vectors = lambda data: np.eye(len(data), dtype=np.float32)
    method = Dedup()
    assert method.dataset(examples, ctx) == examples
    assert method.facts((), examples, ctx)[0].value == 0


def test_dropping_is_told_only_where_it_happened(examples: Examples, ctx: Context) -> None:
    (fact,) = Dedup().facts((), examples, ctx)
    assert fact.value is None
    assert fact.reason


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.3, 0.6, 0.99])
def test_every_block_size_keeps_what_a_plain_loop_keeps(block: int, threshold: float) -> None:
    rng = np.random.default_rng(0)
    rows = unit(rng.normal(size=(60, 4)))
    vectors = np.concatenate([rows, unit(rows[::3] + 0.01 * rng.normal(size=(20, 4)))])
    assert kept_rows(vectors, threshold, block) == by_hand(vectors, threshold)


def test_the_threshold_itself_is_no_duplicate() -> None:
    vectors = np.array([[1, 0], [0.5, np.sqrt(0.75)], [1, 0]], dtype=np.float32)
    assert kept_rows(vectors, 0.5) == [0, 1]
    assert kept_rows(vectors, 0.49) == [0]
    assert kept_rows(np.eye(3, dtype=np.float32), 0.0, block=1) == [0, 1, 2]
