from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made import line, measured, unit

from replication_bench.metrics import fidelity, kernel_metrics
from replication_bench.metrics.fidelity import METRICS
from replication_bench.metrics.frechet import frechet_distance
from replication_bench.metrics.kernels import KernelDistance
from replication_bench.metrics.metric import Evidence, Features


def evidence(g: int, t: int, h: int, d: int = 4) -> Evidence:
    rng = np.random.default_rng(0)
    rows = (unit(rng.standard_normal((n, d))) for n in (g, t, h))
    names = ("generated", "train", "heldout")
    top = np.zeros(g, np.float32)
    return line(**dict(zip(names, rows, strict=True)), top1=top, nearest=np.zeros(g, np.int64))


def test_small_sets_have_a_reason() -> None:
    found = measured(METRICS, evidence(8, 9, 8))
    assert "more than 2d = 8 images on each side, got 8" in str(found["fd_train"].reason)
    found = measured(METRICS, evidence(9, 9, 0))
    assert found["fd_train"].value is not None
    assert (
        found["kd_heldout"].reason
        == found["fd_heldout"].reason
        == found["fd_gap"].reason
        == "no held-out images"
    )
    assert "at least 2" in str(measured(METRICS, evidence(1, 9, 9))["kd_train"].reason)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_tiny_sets_have_a_finite_interval(n: int) -> None:
    found = measured(METRICS, evidence(n, n, n), 200)["kd_train"]
    assert np.isfinite([found.low, found.high]).all()


def test_intervals_hold_the_value() -> None:
    found = measured(METRICS, evidence(60, 60, 60), 200)
    for name in ("kd_heldout", "kd_train", "fd_heldout", "fd_train"):
        assert found[name].low < found[name].value < found[name].high


def test_kernels_are_computed_once_for_values_intervals_and_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(kernel_metrics, "KernelDistance", lambda *a: made.append(1) or KernelDistance(*a))
    measured(METRICS, evidence(60, 60, 60))
    assert len(made) == 2


def test_features_are_taken_as_they_are_and_unit_vectors_are_scaled() -> None:
    base = evidence(40, 50, 30)
    rng = np.random.default_rng(1)
    given = Features(*(5 * rng.standard_normal((n, 4)) for n in (40, 50, 30)))
    found = measured(METRICS, replace(base, features=given), 0)
    assert found["kd_train"].value == pytest.approx(
        1000 * KernelDistance(given.generated, given.train).value()
    )
    assert found["fd_train"].value == pytest.approx(frechet_distance(given.generated, given.train))
    plain = measured(METRICS, base, 0)
    assert plain["kd_train"].value == pytest.approx(
        1000 * KernelDistance(2 * base.generated, 2 * base.train).value()
    )


def test_a_gap_is_marked_where_one_of_its_distances_is(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = "30 of 60 training images, drawn with seed 0: as many as of the other kind"
    found = measured(METRICS, evidence(60, 60, 30), 0)
    both = f"heldout: {found['fd_heldout'].note}; train: {found['fd_train'].note}"
    assert found["fd_gap"].note == f"{both}; {drawn}"
    assert "low_n: 30 images" in str(found["fd_gap"].note)
    monkeypatch.setattr(fidelity, "ENOUGH", 60)
    found = measured(METRICS, evidence(60, 60, 30), 0)
    assert found["fd_train"].note is None
    assert found["fd_gap"].note == f"heldout: {found['fd_heldout'].note}; {drawn}"
    monkeypatch.setattr(fidelity, "ENOUGH", 30)
    assert measured(METRICS, evidence(60, 60, 30), 0)["fd_gap"].note == drawn
    assert measured(METRICS, evidence(60, 60, 60), 0)["fd_gap"].note is None


@pytest.mark.parametrize(("t", "h"), [(4000, 500), (500, 4000)])
def test_sets_of_unlike_size_make_no_gap_of_their_own(t: int, h: int) -> None:
    drawn = np.random.default_rng(3)
    rows = (drawn.standard_normal((n, 32)) for n in (2000, t, h))
    given = Features(*rows)
    found = measured(METRICS, replace(evidence(2000, t, h, 32), features=given), 10)
    assert found["fd_gap"].low < 0 < found["fd_gap"].high
    # which the two distances, each biased by the size of its own set, do show
    assert abs(found["fd_heldout"].value - found["fd_train"].value) > found["fd_gap"].high


def test_the_gap_grows_where_training_images_are_copied() -> None:
    base = evidence(200, 200, 200)
    copied = replace(base, generated=base.train)
    assert measured(METRICS, copied, 0)["fd_gap"].value > measured(METRICS, base, 0)["fd_gap"].value


def test_mifid_is_divided_only_where_every_training_image_is_approached() -> None:
    far = evidence(60, 60, 60, 16)
    assert fidelity.memorization_distance(far.train, far.generated) > 0.1
    found = measured(METRICS, far, 0)
    assert found["mifd_train"].value == pytest.approx(found["fd_train"].value)
    far = evidence(60, 60, 60)
    near = replace(far, generated=unit(far.train + 0.02 * np.random.default_rng(0).standard_normal((60, 4))))
    found = measured(METRICS, near, 0)
    assert found["mifd_train"].value > 10 * found["fd_train"].value


def test_mifid_has_the_interval_of_its_distance_where_it_is_that_distance() -> None:
    far = evidence(60, 60, 60, 16)
    found = measured(METRICS, far, 10)
    assert found["mifd_train"].low is not None
    ends = [(found[name].low, found[name].high) for name in ("mifd_train", "fd_train")]
    assert ends[0] == ends[1]
    far = evidence(60, 60, 60)
    near = replace(far, generated=unit(far.train + 0.02 * np.random.default_rng(0).standard_normal((60, 4))))
    assert measured(METRICS, near, 10)["mifd_train"].low is None


def test_inception_numbers_are_given_below_2048_images_but_marked() -> None:
    space = replace(evidence(30, 30, 30, 64), protocol_name="inception-v3 (TF weights)")
    units = measured(METRICS, replace(evidence(30, 30, 30), spaces={"inception": space}), 0)
    assert "only unit vectors" in str(units["fid_heldout"].reason)
    assert units["kid_heldout"].reason == units["fid_heldout"].reason
    given = Features(7 * space.generated, 7 * space.train, 7 * space.heldout)
    space = replace(space, features=given)
    found = measured(METRICS, replace(evidence(30, 30, 30), spaces={"inception": space}), 20)
    fid = found["fid_heldout"]
    assert fid.value == pytest.approx(frechet_distance(given.generated, given.heldout))
    assert fid.note.startswith("inception-v3 (TF weights); low_n: 30 images")
    assert f"kid_heldout = {found['kid_heldout'].value:.4g}" in fid.note
    assert fid.low is None
    assert found["kid_train"].embedder == "inception"
    assert found["kd_train:inception"].value == pytest.approx(found["kid_train"].value)
    assert found["cmmd_train"].reason == "no embedder 'open-clip' was used"
