"""Images and words, and likeness in CLIP's eyes."""

from __future__ import annotations

from functools import partial

import numpy as np

from replication_bench.metrics.kernel_metrics import protocol_note
from replication_bench.metrics.metric import (
    Alignment,
    Evidence,
    Floats,
    Metric,
    Value,
    described,
    joined,
)
from replication_bench.metrics.summaries import mean, percentile_of

CLIP_SCORE = "arXiv 2104.08718, without its factor 2.5; somepago/DCR, diff_retrieval.py"
CLIP_IMAGE = "arXiv 2103.00020; somepago/DCR, diff_retrieval.py"


def alignment(rows: str, clip: bool, evidence: Evidence) -> Value:
    """Mean cosine of images and their texts; with ``clip``, only of a model that is one."""
    found = evidence.alignment
    if found is None:
        return evidence.why("alignment", "no image-text model was used")
    if clip and not found.clip:
        return f"{found.model} is no CLIP score; see alignment_mean"
    return mean(known(rows, found))


def known(rows: str, found: Alignment) -> Floats:
    """The cosines of images that have a text."""
    values: Floats = getattr(found, rows)
    return values[~np.isnan(values)]


def text_count(rows: str, evidence: Evidence) -> int:
    """Number of images with a text."""
    return len(known(rows, evidence.alignment)) if evidence.alignment else 0


def text_note(evidence: Evidence) -> str | None:
    """The model, and how many prompts it cut."""
    found = evidence.alignment
    if found is None:
        return None
    return found.model + (f"; {found.truncated} prompts truncated" if found.truncated else "")


def text_embedder(evidence: Evidence) -> tuple[str, str] | None:
    """Name and protocol of the image-text embedder."""
    found = evidence.alignment
    return (found.embedder, found.protocol) if found else None


def text_metric(name: str, rows: str, clip: bool) -> Metric:
    """One mean of image-text cosines."""
    return Metric(
        name,
        "cosine",
        "up" if rows == "values" else "reference",
        partial(alignment, rows, clip),
        CLIP_SCORE,
        partial(text_count, rows),
        note=text_note,
        whose=text_embedder,
    )


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            text_metric("clip_score", "values", True),
            text_metric("clip_score_train", "train", True),
            about="How well images fit their prompts, in CLIP's eyes; for training images, their own captions. The "
            "note names the model.",
            formula="mean of cos(image, text); DCR's keys clipscore and clipscore_bg",
            span="cosine, -1 to 1, in practice about 0.15 to 0.35; other tools print 100 times it",
            trap="Scored against the original prompt even where a method changes prompts. Values of unlike CLIP models "
            "cannot be compared.",
        ),
        described(
            text_metric("alignment_mean", "values", False),
            text_metric("alignment_train", "train", False),
            about="The same by whatever image-text model the run has; the note names it. It is a CLIP score only where "
            "the model is a CLIP.",
            formula="mean of cos(image, text)",
            span="cosine, -1 to 1",
            trap="A small model made for one data set ranks methods on that data set and nothing else.",
        ),
        described(
            Metric(
                "clip_sim_mean",
                "cosine",
                "down",
                lambda e: mean(e.top1),
                CLIP_IMAGE,
                lambda e: len(e.top1),
                note=protocol_note,
                role="open-clip",
            ),
            percentile_of("clip_sim_95pc", "top1", "down", CLIP_IMAGE, 95, role="open-clip"),
            about="Similarity of generated images to their nearest training image by CLIP, which sees the subject "
            "rather than the copy.",
            formula="mean and 95th percentile over g of max over t of <g, t>, CLIP image vectors",
            span="cosine, -1 to 1",
            trap="Two pictures of one subject score high without being copies: read it beside the copy detector's.",
        ),
    )
)
