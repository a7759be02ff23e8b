"""Real images for metrics whose time grows with the square of their number: above a limit a sample stands for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from replication_bench.metrics.metric import Evidence, Ints, Rows

LARGEST = 20_000


def chosen(evidence: Evidence, name: str) -> Ints | None:
    """The rows of ``train`` or ``heldout`` that are looked at, in order; None for all. Equal for every metric."""
    count = len(getattr(evidence, name))
    if count <= LARGEST:
        return None
    return evidence.once(
        ("sampled", name),
        lambda: sample_of(count, LARGEST),
    )


def sample_of(count: int, n: int) -> Ints:
    """``n`` of ``count`` rows without replacement, in order; always the same ones."""
    return np.sort(np.random.default_rng(0).choice(count, n, replace=False)).astype(np.int64)


def few(evidence: Evidence, name: str, unit: bool = False) -> Rows:
    """At most ``LARGEST`` rows of ``train`` or ``heldout``: what distributions are compared on, or unit vectors."""
    rows: Rows = getattr(evidence, name) if unit else evidence.rows(name)
    place = chosen(evidence, name)
    return rows if place is None else rows[place]


def count_few(evidence: Evidence, name: str = "train") -> int:
    """How many rows that are."""
    return min(len(getattr(evidence, name)), LARGEST)


def sample_note(name: str = "train") -> Callable[[Evidence], str | None]:
    """What says beside a number that it rests on a sample."""

    def note(evidence: Evidence) -> str | None:
        count = len(getattr(evidence, name))
        kind = {"train": "training", "heldout": "held-out"}[name]
        return f"on {LARGEST:,} of {count:,} {kind} images, drawn with seed 0" if count > LARGEST else None

    return note
