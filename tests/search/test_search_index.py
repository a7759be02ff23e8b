from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from replication_bench.errors import ConfigError, DataError, ReplbenchError
from replication_bench.search import (
    KINDS,
    Index,
    ShardedIndex,
    build_index,
    measured_recall,
    nearest,
    open_index,
    open_shards,
    record_recall,
)
from replication_bench.search.approximate import Plan

PROTOCOL = {"name": "made", "hash": "0" * 64}
SMALL = Plan(lists=16, probes=8, code_bytes=8)


def clustered(count: int, seed: int = 0) -> np.ndarray:
    """Unit rows of 32 features round 40 centres, as real pictures have neighbours."""
    centres = np.random.default_rng(99).standard_normal((40, 32))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, 40, count)] + 0.6 * rng.standard_normal((count, 32))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return clustered(3000)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clustered(200, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_is_opened_as_it_was_built(
    tmp_path: Path, gallery: np.ndarray, queries: np.ndarray, kind: str
) -> None:
    built = build_index(gallery, tmp_path / "index", kind, plan=SMALL, protocol=PROTOCOL)
    opened = open_index(tmp_path / "index")
    assert opened.facts == built.facts
    assert opened.facts.protocol == PROTOCOL
    first, second = built.search(queries, 3), opened.search(queries, 3)
    np.testing.assert_array_equal(first.ids, second.ids)


def test_the_exact_kind_answers_as_nearest(tmp_path: Path, gallery: np.ndarray, queries: np.ndarray) -> None:
    index = build_index(gallery, tmp_path, dtype="float32")
    found, exact = index.search(queries, 4), nearest(queries, gallery, 4)
    np.testing.assert_array_equal(found.ids, exact.ids)
    np.testing.assert_array_equal(found.similarity, exact.similarity)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_similarities_of_an_approximate_index_are_exact(
    tmp_path: Path, gallery: np.ndarray, queries: np.ndarray, kind: str
) -> None:
    index = build_index(gallery, tmp_path, kind, plan=SMALL, dtype="float32")
    found = index.search(queries, 3)
    scores = np.einsum("nd,nkd->nk", queries.astype(float), gallery[found.ids].astype(float))
    np.testing.assert_array_equal(found.similarity, scores.astype(np.float32))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_all_lists_probed_and_all_rows_rescored_is_exact(
    tmp_path: Path, gallery: np.ndarray, queries: np.ndarray, kind: str
) -> None:
    index = build_index(gallery, tmp_path, kind, plan=Plan(lists=16, probes=16, code_bytes=8, rescore=3000))
    recall = measured_recall(index, queries, 2)
    assert (recall.value, recall.copies_found) == (1.0, 1.0)


def test_recall_is_measured_and_falls_with_fewer_probes(
    tmp_path: Path, gallery: np.ndarray, queries: np.ndarray
) -> None:
    few, many = (
        measured_recall(
            build_index(gallery, tmp_path / str(probes), "ivf-flat", plan=Plan(lists=50, probes=probes)),
            queries,
        )
        for probes in (1, 25)
    )
    assert few.value < 0.95 < many.value
    assert few.interval[0] < few.value < few.interval[1]


def test_a_copy_is_found_though_the_codes_are_coarse(tmp_path: Path, gallery: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    ids = rng.choice(len(gallery), 100, replace=False)
    copies = gallery[ids] + 0.05 * rng.standard_normal((100, 32)).astype(np.float32)
    index = build_index(gallery, tmp_path, "ivf-pq", plan=SMALL)
    recall = measured_recall(index, copies / np.linalg.norm(copies, axis=1, keepdims=True))
    assert recall.copies == 100
    assert recall.copies_found is not None
    assert recall.copies_found >= 0.98


def test_recall_without_copies_says_why(tmp_path: Path, gallery: np.ndarray, queries: np.ndarray) -> None:
    recall = measured_recall(build_index(gallery, tmp_path), queries, threshold=1.1)
    assert recall.copies_found is None
    assert recall.reason == "no query of the sample has a row above 1.1"
    with pytest.raises(DataError, match="sample"):
        measured_recall(open_index(tmp_path), queries[:0])


def test_recall_is_recorded_in_the_index(tmp_path: Path, gallery: np.ndarray, queries: np.ndarray) -> None:
    index = build_index(gallery, tmp_path, "ivf-pq", plan=SMALL)
    record_recall(index, measured_recall(index, queries))
    assert json.loads((tmp_path / "index.json").read_text())["recall"]["queries"] == 200
    assert open_index(tmp_path).facts.recall is not None


def test_lists_stay_on_disk(tmp_path: Path, gallery: np.ndarray) -> None:
    index = build_index(gallery, tmp_path, "ivf-pq", plan=SMALL)
    lists = faiss.downcast_InvertedLists(index.structure.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)


@pytest.mark.parametrize("kind", KINDS)
def test_self_is_excluded_by_id(tmp_path: Path, gallery: np.ndarray, kind: str) -> None:
    index = build_index(gallery, tmp_path, kind, plan=SMALL)
    found = index.search(gallery[:50], 2, exclude=np.arange(50))
    assert (found.ids != np.arange(50)[:, None]).all()
    assert found.ids.shape == (50, 2)


def test_rows_not_found_are_marked(tmp_path: Path, gallery: np.ndarray) -> None:
    index = build_index(gallery[:300], tmp_path, "ivf-flat", plan=Plan(lists=100, probes=1))
    found = index.search(gallery[:5], 200)
    assert ((found.ids == -1) == np.isneginf(found.similarity)).all()
    assert (found.ids == -1).any()


def test_vectors_in_files_are_not_copied(tmp_path: Path, gallery: np.ndarray, queries: np.ndarray) -> None:
    paths = []
    for number, part in enumerate(np.split(gallery, 3)):
        paths.append(tmp_path / f"{number}.npy")
        np.save(paths[-1], part)
    index = build_index(paths, tmp_path / "index")
    assert not (tmp_path / "index" / "vectors.npy").exists()
    np.testing.assert_array_equal(index.search(queries).ids, nearest(queries, gallery).ids)


@pytest.mark.parametrize("kinds", [("exact", "exact", "exact"), ("exact", "ivf-flat", "ivf-pq")])
def test_shards_are_searched_as_one(
    tmp_path: Path, gallery: np.ndarray, queries: np.ndarray, kinds: tuple[str, ...]
) -> None:
    gallery = gallery.copy()
    gallery[2500:2510] = gallery[0]
    everything = Plan(lists=4, probes=4, code_bytes=16, rescore=1000)
    for number, (part, kind) in enumerate(zip(np.split(gallery, 3), kinds, strict=True)):
        build_index(part, tmp_path / str(number), kind, plan=everything, dtype="float32")
    index = open_shards([tmp_path / str(number) for number in range(3)])
    asked = np.concatenate([queries, gallery[:1]])
    found, whole = index.search(asked, 5), nearest(asked, gallery, 5)
    np.testing.assert_array_equal(found.ids, whole.ids)
    np.testing.assert_array_equal(found.similarity, whole.similarity)
    assert measured_recall(index, queries, 2).value == 1


def test_shards_smaller_than_k_still_answer(tmp_path: Path, gallery: np.ndarray) -> None:
    parts = [build_index(gallery[i : i + 2], tmp_path / str(i)) for i in (0, 2, 4)]
    found = ShardedIndex(parts).search(gallery[:3], 5, exclude=np.arange(3))
    assert sorted(found.ids[0].tolist()) == [1, 2, 3, 4, 5]
    with pytest.raises(DataError, match="at least 7"):
        ShardedIndex(parts).search(gallery[:3], 7)


def test_shards_of_unlike_protocols_are_refused(tmp_path: Path, gallery: np.ndarray) -> None:
    parts: list[Index] = [
        build_index(gallery[:9], tmp_path / name, protocol={"name": name, "hash": name}) for name in "ab"
    ]
    with pytest.raises(DataError, match="one protocol"):
        ShardedIndex(parts)


def test_equal_seeds_build_equal_indexes(tmp_path: Path, gallery: np.ndarray) -> None:
    for name in "ab":
        build_index(gallery, tmp_path / name, "ivf-pq", plan=SMALL)
    first, second = ((tmp_path / name / "index.faiss").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("kind", "plan", "error", "words"),
    [
        ("ivfpq", None, ConfigError, "Did you mean 'ivf-pq'"),
        ("ivf-pq", None, DataError, "at least 256"),
        ("ivf-flat", Plan(lists=101), DataError, "at least 101"),
        ("ivf-flat", Plan(probes=-1), ConfigError, "0 or more"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    tmp_path: Path, gallery: np.ndarray, kind: str, plan: Plan | None, error: type[ReplbenchError], words: str
) -> None:
    with pytest.raises(error, match=words):
        build_index(gallery[:100], tmp_path, kind, plan=plan)


def test_bad_vectors_are_one_line(tmp_path: Path, gallery: np.ndarray) -> None:
    broken = gallery.copy()
    broken[1700] = np.nan
    for kind in KINDS:
        with pytest.raises(DataError, match="1 such rows, first 1700"):
            build_index(broken, tmp_path, kind, plan=SMALL)
    with pytest.raises(DataError, match="too large for float16"):
        build_index(gallery * 1e6, tmp_path)
    with pytest.raises(DataError, match="at least 1"):
        build_index(gallery[:0], tmp_path)
    with pytest.raises(DataError, match="no index there"):
        open_index(tmp_path)


def test_queries_of_another_width_are_one_line(tmp_path: Path, gallery: np.ndarray) -> None:
    with pytest.raises(DataError, match="5 features; want 32"):
        build_index(gallery, tmp_path, "ivf-flat", plan=SMALL).search(np.ones((1, 5)))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 7}', "got 7; want 1"),
        ('{"format": 1, "kind": "exact"}', "damaged"),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path: Path, facts: str, words: str) -> None:
    (tmp_path / "index.json").write_text(facts)
    with pytest.raises(DataError, match=words):
        open_index(tmp_path)


def test_damaged_files_are_one_line(tmp_path: Path, gallery: np.ndarray) -> None:
    index = build_index(gallery, tmp_path, "ivf-flat", plan=SMALL)
    (tmp_path / "index.faiss").write_bytes(b"nothing of FAISS")
    with pytest.raises(DataError, match="Build it again"):
        index.search(gallery[:1])
    np.save(tmp_path / "vectors.npy", gallery[:10])
    with pytest.raises(DataError, match="do not fit"):
        open_index(tmp_path).search(gallery[:1])


FULL = """
import resource, sys
import numpy as np
from replication_bench.cli import fail
from replication_bench.errors import ReplbenchError
from replication_bench.search import build_index
rows = np.random.default_rng(0).standard_normal((4000, 64))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    build_index(rows, sys.argv[1], "ivf-flat")
except ReplbenchError as error:
    fail(error, str(error))
"""


@pytest.mark.parametrize("limit", [200_000, 530_000])
def test_a_disk_that_fills_up_is_one_line_and_leaves_no_index(tmp_path: Path, limit: int) -> None:
    """A limit on file size makes the system refuse a write as a full disk does: in the vectors, in FAISS's file."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(limit)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot write" in done.stderr
    assert not (tmp_path / "index.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.npy"] * (limit > 512_128)
