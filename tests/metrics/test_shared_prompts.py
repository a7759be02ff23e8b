"""Images of one prompt are no independent evidence: every interval over generated images must know of it.

Every image is there four times under one prompt, so an interval that takes images for independent is half as wide as
the one over the same images once.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from replication_bench.evidence import build_evidence, unit_rows
from replication_bench.metrics import all_metrics, kernels
from replication_bench.metrics.frechet import frechet
from replication_bench.metrics.kernels import KernelDistance
from replication_bench.metrics.metric import Evidence, members_of
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure

TIMES = 4


def rows(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, 3)) + np.eye(3)[0])


def evidence(generated: np.ndarray, prompts: list[str]) -> Evidence:
    return build_evidence(generated, rows(150, 1), rows(150, 2), prompts=prompts)


@cache
def widths() -> dict[str, tuple[float, float]]:
    """Width of each interval over single images, and over the same images four times a prompt."""
    names, found = [str(i) for i in range(100)], []
    single = rows(100, 0)
    for made, prompts in (
        (single, names),
        (np.repeat(single, TIMES, axis=0), [n for n in names for _ in range(TIMES)]),
    ):
        metrics = [
            m for m in all_metrics() if m.name in ("kd_train", "kd_heldout", "fd_train", "fd_gap", "vendi")
        ]
        table = measure(metrics, evidence(made, prompts), seeds=Seeds(0), resamples=300, confidence=0.95)
        found.append({m.name: (m.high or 0) - (m.low or 0) for m in table})
    return {name: (found[0][name], found[1][name]) for name in found[0]}


@pytest.mark.parametrize("name", ["kd_train", "kd_heldout", "fd_train", "fd_gap", "vendi"])
def test_four_images_a_prompt_are_worth_one(name: str) -> None:
    once, again = widths()[name]
    assert again > 0.8 * once > 0


def test_the_closed_form_of_a_kernel_distance_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "KEPT", 0)
    single, other = rows(100, 0), rows(150, 1) + 0.3
    groups = np.repeat(np.arange(100), TIMES)
    once = KernelDistance(single, other).error()
    assert KernelDistance(np.repeat(single, TIMES, axis=0), other).error(groups) == pytest.approx(
        once, rel=0.2
    )


@pytest.mark.parametrize("biased", [False, True])
def test_draws_of_whole_prompts_have_no_bias_from_prompts_paired_with_their_own_copies(biased: bool) -> None:
    """Images of one prompt are close, so that pairs of two copies of a prompt would count as likeness."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), TIMES)
    a = np.repeat(rng.standard_normal((60, 8)), TIMES, axis=0) + 0.1 * rng.standard_normal((240, 8))
    distance = KernelDistance(a, rng.standard_normal((90, 8)), biased=biased)
    members = members_of(groups)
    drawn = [np.concatenate([members[i] for i in rng.integers(60, size=60)]) for _ in range(600)]
    u = np.stack([np.bincount(rows, minlength=240) for rows in drawn]).astype(float)
    v = np.stack([kernels.draw_weights(90, rng) for _ in range(600)])
    spread = distance.drawn(u, v, groups)
    assert abs(spread.mean() - distance.value()) < 0.15 * spread.std()


def test_drawn_prompts_are_the_double_sum_over_pairs_that_are_no_copies() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    groups = np.array([0, 1, 0, 2, 1])
    times, copies = (
        np.array([2.0, 1.0, 0.0]),
        [(0, 0), (0, 1), (1, 0)],
    )  # a copy: its group, and which copy it is
    drawn = [(copy, row) for copy in copies for row in np.flatnonzero(groups == copy[0])]
    pairs = [
        (x, y) for one, x in drawn for other, y in drawn if x != y and (one == other or one[0] != other[0])
    ]
    distance = KernelDistance(a, b)
    within = np.mean([(a[x] @ a[y] / 3 + 1) ** 3 for x, y in pairs])
    assert distance.drawn_within(distance.aa, times[groups][None], groups)[0] == pytest.approx(within)


def test_one_prompt_alone_gives_no_interval() -> None:
    single, one = rows(20, 0), np.zeros(20, dtype=np.int64)
    assert frechet(single, rows(30, 1), one).error is None
    assert KernelDistance(single, rows(30, 1)).interval(np.random.default_rng(0), 9, 0.95, groups=one) is None
