"""Numbers that an audit adds to the metrics: how many copies there are, and which are of near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from replication_bench.duplicates import Alike
from replication_bench.metrics.metric import Evidence
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds
from replication_bench.statistics import percentile_interval, wilson_interval
from replication_bench.statistics.calibration import CopyThreshold
from replication_bench.statistics.intervals import hull

Mask = NDArray[np.bool_]


def share(
    name: str,
    mask: Mask,
    confidence: float,
    better: Literal["down", "reference"],
    why: str,
    note: str,
    draws: Sequence[float] = (),
) -> Measurement:
    """The share of a mask with Wilson's interval, joined with that of ``draws`` over prompts; ``why`` there is none."""
    if not len(mask):
        return Measurement(name=name, value=None, reason=why, n=0, unit="share", better=better)
    value = float(mask.mean())
    low, high = wilson_interval(value, len(mask), confidence)
    if draws:
        low, high = hull((low, high), percentile_interval(draws, confidence))
    return Measurement(
        name=name, value=value, n=len(mask), low=low, high=high, unit="share", better=better, note=note
    )


def drawn(
    hits: Mask, among: Mask, evidence: Evidence, rng: np.random.Generator, resamples: int
) -> list[float]:
    """Shares of ``hits`` in ``among``, both [g], over draws of whole prompts; none where no images share one."""
    if not evidence.repeated_prompts:
        return []
    every = (evidence.draw(rng) for _ in range(resamples))
    return [float(hits[rows][among[rows]].mean()) for rows in every if among[rows].any()]


def copy_measurements(
    evidence: Evidence,
    threshold: CopyThreshold,
    alike: Alike,
    confidence: float,
    seeds: Seeds,
    resamples: int,
) -> list[Measurement]:
    """Copies, and what near-duplicates in the training set have to do with them.

    Groups are chains of pairs above ``alike.threshold`` (0.75), which is not what ``train_repeated`` and
    ``copied_repeated`` count (pairs above ``duplicates.SAME``, 0.95): hence names of their own.

    Args:
        evidence: of one embedder.
        threshold: what the labels rest on; see ``local.whole_threshold``.
        alike: groups of near-duplicates of the training images.
        confidence: of the intervals.
        seeds: of the draws over prompts, where images share one.
        resamples: draws an interval.
    """
    copied = evidence.top1 > threshold.value
    sources = evidence.nearest[copied]
    repeated = copied & (alike.sizes[evidence.nearest] > 1)
    of_all, of_copies = (
        drawn(hits, among, evidence, seeds.numpy("bootstrap", name), resamples)
        for name, hits, among in (
            ("copies_share", copied, np.ones_like(copied)),
            ("copies_from_grouped", repeated, copied),
        )
    )
    groups = f"near-duplicates: similarity above {alike.threshold:g}"
    return [
        Measurement(
            name="copy_threshold",
            value=threshold.value,
            n=len(evidence.floor),
            unit="cosine",
            note=threshold.rule,
        ),
        share("copies_share", copied, confidence, "down", "no images", threshold.rule, of_all),
        Measurement(
            name="copied_groups",
            value=float(len(set(alike.labels[sources].tolist()))),
            n=int(copied.sum()),
            unit="count",
            better="down",
            note=groups,
        ),
        share("train_grouped", alike.sizes > 1, confidence, "reference", "no images", groups),
        share(
            "copies_from_grouped",
            alike.sizes[sources] > 1,
            confidence,
            "reference",
            "no copy was found",
            f"compare with train_grouped; {groups}",
            of_copies,
        ),
    ]
