"""Which training images are copied: simple ones, repeated ones? Correlations with what is matched."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.copies import copies_of
from replication_bench.metrics.local import whole_limit
from replication_bench.metrics.metric import Evidence, Metric, Value, count_generated, described, joined

COMPLEXITY = "arXiv 2305.20086, section 6; somepago/DCR, diff_retrieval.py"
DUPLICATES = "arXiv 2305.20086, section 4"
NO_PIXELS = "no pixels were given, only vectors"
NO_DUPLICATES = "training images were not compared with each other"
Column = NDArray[np.float64]


def column(name: str, evidence: Evidence) -> Column | str:
    """One property of each training image, float64 [t], or why it is not known."""
    if name == "duplicates":
        found = evidence.duplicates.astype(np.float64)
        return found if len(found) else evidence.why("duplicates", NO_DUPLICATES)
    images = evidence.complexity
    if images is None:
        return evidence.why("pixels", NO_PIXELS)
    if name == "mixed":
        return images.entropy * np.sqrt(images.jpeg_kb)
    rows: Column = getattr(images, name)
    return rows


def matched(name: str, evidence: Evidence) -> tuple[Column, Column] | str:
    """Similarities and the matched training images' property, [g] each, or why they cannot be correlated."""
    rows = column(name, evidence)
    if isinstance(rows, str):
        return rows
    if len(evidence.top1) < 3:
        return f"needs at least 3 images, got {len(evidence.top1)}"
    found, similarity = rows[evidence.nearest], evidence.top1.astype(np.float64)
    if np.ptp(found) == 0 or np.ptp(similarity) == 0:
        return "all matched images have the same value"
    return similarity, found


def coefficient(name: str, evidence: Evidence) -> Value:
    """Pearson's r between similarity and the matched training image's property."""
    pair = matched(name, evidence)
    if isinstance(pair, str):
        return pair
    # scipy's pearsonr is a hundred times slower, and a bootstrap calls this a thousand times
    x, y = (rows - rows.mean() for rows in pair)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def p_value(name: str, evidence: Evidence) -> Value:
    """Two-sided p-value of no correlation."""
    from scipy.stats import pearsonr  # type: ignore[import-untyped]

    pair = matched(name, evidence)
    return pair if isinstance(pair, str) else float(pearsonr(*pair).pvalue)


def copied_rows(evidence: Evidence) -> NDArray[np.int64] | str:
    """The copied training images, or the reason why there are none."""
    found = copies_of(evidence, whole_limit(evidence))
    return np.array(sorted(found), dtype=np.int64) if found else "no training image is copied"


def copied_against_all(name: str, evidence: Evidence) -> Value:
    """Mean of a property over the copied training images, divided by its mean over all."""
    rows, copied = column(name, evidence), copied_rows(evidence)
    if isinstance(rows, str):
        return rows
    if isinstance(copied, str):
        return copied
    mean = float(rows.mean())
    return float(rows[copied].mean()) / mean if mean > 0 else "the mean over all training images is 0"


def copied_repeated(evidence: Evidence) -> Value:
    """Share of the copied training images that are repeated in the training set."""
    rows, copied = column("duplicates", evidence), copied_rows(evidence)
    if isinstance(rows, str):
        return rows
    if isinstance(copied, str):
        return copied
    return float((rows[copied] > 1).mean())


def repeated(evidence: Evidence) -> Value:
    """Share of the training images that are repeated."""
    rows = column("duplicates", evidence)
    return rows if isinstance(rows, str) else float((rows > 1).mean())


def count_copied(evidence: Evidence) -> int:
    """Number of copied training images."""
    found = copied_rows(evidence)
    return 0 if isinstance(found, str) else len(found)


def correlation_metrics(key: str, name: str, source: str) -> tuple[Metric, Metric]:
    """r with its bootstrap interval, and its p-value."""
    return (
        Metric(key, "Pearson r", "reference", partial(coefficient, name), source, count_generated),
        Metric(
            f"{key}_p",
            "p-value",
            "reference",
            partial(p_value, name),
            source,
            count_generated,
            interval=None,
        ),
    )


def ratio_metric(key: str, name: str) -> Metric:
    """A property of the copied images in units of that of all."""
    value = partial(copied_against_all, name)
    return Metric(key, "ratio", "reference", value, COMPLEXITY, count_copied, interval=None)


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            *correlation_metrics("cc_ent", "entropy", COMPLEXITY),
            *correlation_metrics("cc_comp", "jpeg_kb", COMPLEXITY),
            *correlation_metrics("cc_tvl", "variation", COMPLEXITY),
            *correlation_metrics("cc_mixed", "mixed", COMPLEXITY),
            about="Whether simple images are copied more: correlation between a generated image's similarity and the "
            "complexity of the training image it matches. Below 0: simple images are matched more closely.",
            formula="Pearson r of m(g) with, of the matched training image: grey-level entropy in bits (cc_ent), size "
            "as JPEG of quality 90 in kB (cc_comp), mean absolute difference of neighbouring pixels (cc_tvl), "
            "entropy x sqrt(JPEG size) (cc_mixed); _p is the p-value of r = 0",
            span="-1 to 1; p 0 to 1",
            trap="Simple images are also more alike by chance, copied or not: compare with held-out images before "
            "blaming the model.",
        ),
        described(
            ratio_metric("copied_jpeg_ratio", "jpeg_kb"),
            ratio_metric("copied_entropy_ratio", "entropy"),
            about="How complex the copied training images are, in units of all training images.",
            formula="mean over copied / mean over all training images, of JPEG size and of grey-level entropy",
            span="0 and up; 1 = as complex as the others",
            trap="Of few copied images it says little: n is their number.",
        ),
        described(
            *correlation_metrics("cc_dup", "duplicates", DUPLICATES),
            Metric(
                "copied_repeated",
                "share",
                "reference",
                copied_repeated,
                DUPLICATES,
                count_copied,
                interval="wilson",
            ),
            Metric(
                "train_repeated",
                "share",
                "reference",
                repeated,
                DUPLICATES,
                lambda e: len(e.duplicates),
                interval=None,
            ),
            about="Whether repeated images are copied more: correlation of similarity with the number of near-"
            "duplicates of the matched training image, and the share of repeated ones among the copied images and "
            "among all.",
            formula="duplicates of t = training images with <t, t'> > 0.95, itself included; Pearson r of m(g) with "
            "them; share with more than one",
            span="-1 to 1; shares 0 to 1",
            trap="Near-duplicates by the embedder, not equal files. Without repeated images there is no correlation. "
            "An audit's train_grouped and copies_from_grouped are others: they count chains of pairs above 0.75.",
        ),
    )
)
