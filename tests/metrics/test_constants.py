"""Constants that published definitions fix: a changed one moves a number here.

Values without a closed form were computed once, from fixed draws, when the metrics reproduced the golden numbers.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from made import line, measured
from PIL import Image

from replication_bench.evidence import count_alike
from replication_bench.looks import complexity_of
from replication_bench.metrics import fidelity
from replication_bench.metrics.complexity import METRICS as COMPLEXITY
from replication_bench.metrics.held_out_tests import ct_score, fld
from replication_bench.metrics.local import near
from replication_bench.metrics.metric import Complexity
from replication_bench.metrics.tiles import carlini_ratio


def drawn(d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, held-out and generated rows; the generated ones crowd some of the training rows."""
    rng = np.random.default_rng(5)
    scale = np.linspace(3, 0.5, d)
    train, heldout = (rng.normal(size=(n, d)) * scale + 1 for n in (240, 200))
    return train, heldout, train[rng.integers(0, 120, 220)] + 0.3 * rng.normal(size=(220, d)) * scale


def test_ct_is_taken_on_64_axes() -> None:
    assert ct_score(*drawn(80)) == pytest.approx(-9.2804, abs=0.01)


def test_fld_standardises_on_held_out_rows_and_fits_50_steps_beside_a_gaussian_at_the_origin() -> None:
    found = fld(*drawn(6))
    assert (found.fld, found.gap) == pytest.approx((8.9047, -27.3290), abs=0.05)


def test_mixed_complexity_takes_the_root_of_the_size() -> None:
    top1, entropy, jpeg = (
        np.array([0.9, 0.5, 0.1, 0.3]),
        np.array([1, 0.5, 0.7, 0.9]),
        np.array([4.0, 9, 25, 1]),
    )
    evidence = line(
        top1=top1.astype(np.float32), nearest=np.arange(4), complexity=Complexity(entropy, jpeg, np.zeros(4))
    )
    want = np.corrcoef(top1, entropy * np.sqrt(jpeg))[0, 1]
    assert measured(COMPLEXITY, evidence, 0)["cc_mixed"].value == pytest.approx(want)


def test_the_size_is_that_of_a_jpeg_of_quality_90() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    assert complexity_of(image)[1] == len(file.getvalue()) / 1000


@pytest.mark.parametrize(("similarity", "count"), [(0.94, 1), (0.96, 2)])
def test_images_are_the_same_above_095(similarity: float, count: int) -> None:
    rows = np.array([[1, 0], [similarity, np.sqrt(1 - similarity**2)]], np.float32)
    assert count_alike(rows).tolist() == [count, count]


def test_carlini_s_mean_is_over_50_neighbours_and_near_is_015() -> None:
    distances = np.arange(1, 101, dtype=np.float32)[None]
    assert carlini_ratio(distances)[0] == pytest.approx(1 / (0.5 * np.arange(1, 51).mean()))
    assert near(np.array([0.149, 0.151], np.float32)) == 0.5


@pytest.mark.parametrize(("penalty", "divided"), [(0.09, True), (0.11, False)])
def test_the_memorization_distance_counts_below_01(
    penalty: float, divided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "frechet_value", lambda *_: 1.8)
    monkeypatch.setattr(fidelity, "memorization_distance", lambda *_: penalty)
    assert fidelity.mifid("", line()) == pytest.approx(1.8 / penalty if divided else 1.8)


@pytest.mark.parametrize(("n", "warned"), [(2047, True), (2048, False)])
def test_fewer_than_2048_images_are_few(n: int, warned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "kernel_value", lambda *_: 0.0)
    rows = np.ones((n, 2), np.float32)
    evidence = line(generated=rows, heldout=rows)
    assert bool(fidelity.low_note("heldout", "kd", evidence)) == warned
