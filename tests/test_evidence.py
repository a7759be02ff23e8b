from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from replication_bench import evidence as builder
from replication_bench import looks
from replication_bench.evidence import (
    Pixels,
    build_evidence,
    count_alike,
    find_sources,
    own_similarity,
    unit_rows,
)
from replication_bench.looks import Images, complexity_of
from replication_bench.metrics import all_metrics
from replication_bench.metrics.metric import Evidence
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure


def pictures(n: int, seed: int) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(n)]


def images(rows: list[Image.Image], contents: list[str] | None = None) -> Images:
    return Images(lambda i: rows[i], len(rows), contents)


def vectors(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, 8)))


@pytest.fixture(scope="module")
def full() -> Evidence:
    generated, train, heldout = pictures(30, 0), pictures(40, 1), pictures(25, 2)
    generated[3] = train[7]
    return build_evidence(
        vectors(30, 0),
        vectors(40, 1),
        vectors(25, 2),
        ceiling=vectors(40, 1),
        prompts=[f"picture {i}" for i in range(30)],
        sources=[(i,) for i in range(30)],
        pixels=Pixels(images(generated), images(train), images(heldout)),
    )


def test_an_image_without_prompt_is_drawn_by_itself_and_the_others_by_prompt() -> None:
    prompts = ["a", "a", "", "b", ""]
    found = build_evidence(vectors(5, 0), vectors(4, 1), vectors(0, 2), prompts=prompts)
    assert found.repeated_prompts
    assert len(set(found.prompts.tolist())) == 4
    assert found.prompts[0] == found.prompts[1]


def test_everything_that_was_given_is_there(full: Evidence) -> None:
    assert full.nearest.tolist() == (full.generated @ full.train.T).argmax(axis=1).tolist()
    assert full.background.shape == (40,)
    assert full.ceiling.shape == (40,)
    assert full.local.shape == full.carlini.shape == full.tiled_l2.shape == (30,)
    assert full.local_floor.shape == (25,)
    assert full.tiled_l2.argmin() == full.carlini.argmin() == 3
    assert full.own_prompt == pytest.approx((full.generated * full.train[:30]).sum(1), abs=1e-6)
    assert not full.repeated_prompts


def test_every_metric_of_the_run_s_own_space_has_a_value_or_a_reason(full: Evidence) -> None:
    found = measure(all_metrics(), full, seeds=Seeds(0), resamples=20, confidence=0.9)
    missing = {m.name: m.reason for m in found if m.value is None}
    own = {metric.name for metric in all_metrics() if not metric.role}
    # of 30 made images none is copied, repeated or has a text, and a Frechet distance has too few
    assert set(missing) & own <= {
        "fld",
        "c_t",
        "fd_gap",
        "clip_score",
        "clip_score_train",
        "alignment_mean",
        "alignment_train",
        "cc_dup",
        "cc_dup_p",
        "copies_each",
        "copies_each_calibrated",
    }, missing
    assert all(missing.values())


def test_only_three_sets_are_needed_and_the_rest_has_reasons() -> None:
    bare = build_evidence(vectors(10, 0), vectors(12, 1), vectors(0, 2))
    found = {m.name: m for m in measure(all_metrics(), bare, seeds=Seeds(0), resamples=5, confidence=0.9)}
    assert found["sim_mean"].value is not None
    assert found["floor_mean"].reason == "no held-out images"
    assert found["own_prompt_mean"].reason == "no prompts were given"
    assert found["local_mean"].reason == "no pixels were given, only vectors"
    assert all(m.value is not None or m.reason for m in found.values())


def test_further_spaces_are_measured_under_their_names() -> None:
    space = build_evidence(vectors(10, 5), vectors(12, 6), vectors(9, 7), protocol="abc")
    base = build_evidence(vectors(10, 0), vectors(12, 1), vectors(9, 2), spaces={"dinov2": space})
    found = {m.name: m for m in measure(all_metrics(), base, seeds=Seeds(0), resamples=5, confidence=0.9)}
    assert found["sim_mean:dinov2"].value == pytest.approx(float(space.top1.mean()))
    assert (found["kd_heldout:dinov2"].embedder, found["kd_heldout:dinov2"].protocol) == ("dinov2", "abc")
    assert found["sim_mean"].value != found["sim_mean:dinov2"].value


def test_sources_are_found_by_any_caption() -> None:
    captions = [("a", "b"), ("c",), ("a",)]
    assert find_sources(["a", "b", "x"], captions) == [(0, 2), (0,), ()]


def test_own_similarity_takes_the_nearest_source() -> None:
    train = np.eye(3, dtype=np.float32)
    found = own_similarity(np.array([[0.6, 0.8, 0], [1, 0, 0]], np.float32), train, [(0, 1), ()])
    assert found[0] == pytest.approx(0.8)
    assert np.isnan(found[1])


def test_alike_images_are_counted_with_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(np.array([[1, 0], [1, 0.01], [0, 1], [1, -0.01]]))
    monkeypatch.setattr("replication_bench.metrics.kernels.BLOCK", 2)
    assert count_alike(rows).tolist() == [3, 3, 1, 3]


def test_complexity_of_plain_and_of_two_toned_images() -> None:
    entropy, kb, variation = complexity_of(Image.new("RGB", (32, 32), "white"))
    assert (entropy, variation) == (0, 0)
    half = Image.new("L", (32, 32), 0)
    half.paste(255, (16, 0, 32, 32))
    entropy, more, variation = complexity_of(half)
    assert entropy == pytest.approx(1)
    assert variation == pytest.approx(255 / 32)
    assert 0 < kb < more


def test_images_are_looked_at_once_and_again_where_the_cache_is_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path))
    rows, opened = pictures(3, 0), []
    source = Images(lambda i: opened.append(i) or rows[i], 3, ["a", "b", "c"])
    first = looks.look_cached(source, lambda done: None)
    again = looks.look_cached(source, lambda done: None)
    assert opened == [0, 1, 2]
    assert np.array_equal(first.thumbnails, again.thumbnails)
    assert np.array_equal(first.complexity.entropy, again.complexity.entropy)
    next((tmp_path / "looks").iterdir()).write_bytes(b"PK broken")
    looks.look_cached(source, lambda done: None)
    assert opened == [0, 1, 2] * 2


def test_too_many_pairs_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MOST_PAIRS", 5)
    both = images(pictures(3, 0))
    found = build_evidence(vectors(3, 0), vectors(3, 1), vectors(0, 2), pixels=Pixels(both, both))
    assert "9 pairs of images are more" in found.why("pixels", "")
    assert not len(found.local)


def test_unit_rows_have_length_one_whatever_their_scale() -> None:
    rows = unit_rows(np.array([[3e17, 4e17], [3e-17, 4e-17], [0, 0]]))
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8], [0, 0]], np.float32))


def test_every_optional_part_has_a_default() -> None:
    required = [f.name for f in fields(Evidence) if f.init][:8]
    assert required == ["generated", "train", "heldout", "top1", "nearest", "background", "floor", "ceiling"]
