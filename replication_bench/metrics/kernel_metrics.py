"""Kernel distances between the generated images and real ones, as metrics.

Unit vectors are scaled by sqrt(d) for the polynomial kernel, which then sees features of unit variance, as KID's does;
features that a user brings are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from replication_bench.metrics.kernels import GAUSSIAN, KernelDistance
from replication_bench.metrics.metric import Evidence, Metric, Rows, Value, count_generated
from replication_bench.metrics.sampled import few, sample_note

INCEPTION = "inception"


def too_few(evidence: Evidence, real: str, role: str = "") -> str | None:
    """Why the sets cannot be compared, or None."""
    if role == INCEPTION and evidence.features is None:
        return "needs Inception's features as they are, and only unit vectors were kept"
    if real == "heldout" and not len(evidence.heldout):
        return "no held-out images"
    enough = min(len(evidence.rows(real)), len(evidence.generated)) >= 2
    return None if enough else "needs at least 2 images on each side"


def scaled(rows: Rows) -> Rows:
    """Unit vectors brought to unit variance a feature."""
    return rows * np.sqrt(rows.shape[1])


def kernel_distance(real: str, evidence: Evidence) -> KernelDistance:
    """KID's distance between generated and ``real`` rows, set up once."""

    def make() -> KernelDistance:
        a, b = evidence.rows("generated"), few(evidence, real)
        return KernelDistance(a, b) if evidence.features else KernelDistance(scaled(a), scaled(b))

    return evidence.once(("kernel", real), make)


def kernel_value(real: str, evidence: Evidence) -> float:
    """KID's distance x 1000, computed once for the metric and for the notes of Frechet distances."""
    return evidence.once(("kernel value", real), lambda: 1000 * kernel_distance(real, evidence).value())


def clip_value(real: str, evidence: Evidence) -> float:
    """CMMD's distance x 1000."""
    return 1000 * clip_distance(real, evidence).value()


def clip_distance(real: str, evidence: Evidence) -> KernelDistance:
    """CMMD's distance between generated and ``real`` unit vectors, set up once."""
    rows = few(evidence, real, unit=True)
    return evidence.once(
        ("cmmd", real), lambda: KernelDistance(evidence.generated, rows, GAUSSIAN, biased=True)
    )


def kernel_metric(
    name: str, real: str, distance: Callable[[str, Evidence], KernelDistance], source: str, role: str = ""
) -> Metric:
    """A kernel distance x 1000 between the generated and the ``real`` rows, with its bootstrap interval."""
    found = kernel_value if distance is kernel_distance else clip_value

    def value(evidence: Evidence) -> Value:
        lost = evidence.features_lost if found is kernel_value else None
        return lost or too_few(evidence, real, role) or found(real, evidence)

    def interval(
        evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
    ) -> tuple[float, float] | None:
        found = distance(real, evidence).interval(rng, resamples, confidence, evidence.groups)
        return found and (1000 * found[0], 1000 * found[1])

    return Metric(
        name,
        "MMD^2 x 1000",
        "down",
        value,
        source,
        count_generated,
        interval="own",
        own_interval=interval,
        note=partial(kernel_note, real, role),
        role=role,
        everywhere=not role,
    )


def protocol_note(evidence: Evidence) -> str | None:
    """Which weights and preprocessing the space has."""
    return evidence.protocol_name or None


def kernel_note(real: str, role: str, evidence: Evidence) -> str | None:
    """Which weights, where they are not the run's own, and that a sample was taken."""
    told = (protocol_note(evidence) if role else None, sample_note(real)(evidence))
    return "; ".join(filter(None, told)) or None
