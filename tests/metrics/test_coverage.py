from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made import line, measured, unit

from replication_bench.metrics import coverage
from replication_bench.metrics.coverage import METRICS, vendi_of_kernel, vendi_of_rows
from replication_bench.metrics.metric import Evidence, Features


def test_vendi_examples_of_its_authors() -> None:
    points = np.array([0, 0, 10, 10, 20, 20.0])
    assert vendi_of_kernel(np.exp(-np.abs(points[:, None] - points))) == pytest.approx(2.999999995878)
    kernel = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    assert vendi_of_kernel(kernel) == pytest.approx(2.1573004834)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_vendi_of_rows_is_that_of_their_cosines_in_any_order(shape: tuple[int, int]) -> None:
    rows = unit(np.random.default_rng(0).standard_normal(shape))
    want = vendi_of_kernel(rows.astype(np.float64) @ rows.T)
    assert vendi_of_rows(rows).value == pytest.approx(want, rel=1e-5)
    assert vendi_of_rows(rows[::-1]).value == pytest.approx(want, rel=1e-5)


def test_vendi_of_equal_and_of_orthogonal_images() -> None:
    assert vendi_of_rows(np.tile(np.eye(4)[:1], (9, 1))).value == pytest.approx(1)
    assert vendi_of_rows(np.eye(4)).value == pytest.approx(4)


def test_the_error_of_vendi_is_the_spread_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    found = [vendi_of_rows(unit(rng.standard_normal((400, 3)) * [3, 1, 0.5])) for _ in range(300)]
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)


def evidence(g: int, t: int, **more: object) -> Evidence:
    rng = np.random.default_rng(0)
    rows = {"generated": unit(rng.standard_normal((g, 4))), "train": unit(rng.standard_normal((t, 4)))}
    return line(**rows, top1=np.zeros(g, np.float32), nearest=np.zeros(g, np.int64), **more)


def test_the_four_numbers_are_computed_once_and_have_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(coverage, "balls", lambda *a, plain=coverage.balls: calls.append(1) or plain(*a))
    found = measured(METRICS, evidence(60, 70))
    assert len(calls) == 1
    for name in ("precision", "recall", "density", "coverage", "vendi"):
        assert found[name].low <= found[name].value <= found[name].high
    assert found["recall"].n == 70
    assert found["precision"].n == 60


def test_few_images_have_a_reason() -> None:
    found = measured(METRICS, evidence(5, 9))
    assert found["precision"].reason == "needs more than 5 images on each side, got 5"
    assert measured(METRICS, evidence(5, 9, neighbours=3))["precision"].value is not None


def test_images_of_one_prompt_widen_the_interval() -> None:
    # whether an image is precise depends on its prompt alone: 10 independent facts, not 100
    rng = np.random.default_rng(0)
    centres = np.concatenate([np.zeros((5, 4)), np.full((5, 4), 50.0)])
    generated = np.repeat(centres, 10, axis=0) + 0.01 * rng.standard_normal((100, 4))
    base = evidence(100, 40, prompts=np.repeat(np.arange(10), 10))
    features = Features(generated, rng.standard_normal((40, 4)), np.zeros((0, 4)))
    grouped = measured(METRICS, replace(base, features=features), 300)["precision"]
    alone = measured(METRICS, replace(base, features=features, prompts=np.arange(100)), 300)["precision"]
    assert grouped.value == alone.value == 0.5
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
