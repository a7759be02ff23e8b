"""From vectors, prompts and pixels to ``Evidence``: the one way a run, an audit and ``score`` come to their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from replication_bench.duplicates import SAME
from replication_bench.looks import Images, look_cached
from replication_bench.metrics.kernels import blocks
from replication_bench.metrics.metric import (
    NO_FLOATS,
    NO_INTS,
    Alignment,
    Complexity,
    Evidence,
    Features,
    Floats,
    Ints,
    Rows,
)
from replication_bench.metrics.tiles import Closest, closest
from replication_bench.search import Neighbours, nearest
from replication_bench.statistics.clusters import clusters
from replication_bench.statistics.measuring import Step, no_step

LARGEST_TRAIN = 50_000
MOST_PAIRS = 100_000_000
NO_PIXELS = "no pixels were given, only vectors"
NO_PROMPTS = "no prompts were given"


@dataclass(frozen=True)
class Pixels:
    """Access to the images themselves; ``heldout`` gives local similarities their threshold."""

    generated: Images
    train: Images
    heldout: Images | None = None


def number_prompts(prompts: Sequence[str]) -> Ints:
    """Equal numbers for equal prompts, and one of its own for an image without prompt: int64 [g]."""
    return clusters(prompts)[0]


def find_sources(prompts: Sequence[str], captions: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """The training images of which a caption is the prompt, for each prompt.

    Args:
        prompts: the prompt of each generated image, before a method changed it.
        captions: all captions of each training image.
    """
    rows: dict[str, list[int]] = {}
    for i, texts in enumerate(captions):
        for text in dict.fromkeys(texts):
            rows.setdefault(text, []).append(i)
    return [tuple(rows.get(prompt, ())) for prompt in prompts]


def own_similarity(generated: Floats, train: Floats, sources: Sequence[Sequence[int]]) -> Floats:
    """Similarity to the nearest of each image's ``sources``, float32 [g]; NaN where it has none."""
    found = [
        float((train[list(rows)] @ image).max()) if rows else float("nan")
        for image, rows in zip(generated, sources, strict=True)
    ]
    return np.array(found, dtype=np.float32)


def count_alike(train: Floats, threshold: float = SAME, repeats: Sequence[int] | None = None) -> Ints:
    """Training images above ``threshold`` of each one, itself included: int64 [t].

    Args:
        train: unit vectors [t, d].
        threshold: cosine similarity, strict.
        repeats: how often the training set holds each image; once where None.
    """
    times = np.ones(len(train), np.int64) if repeats is None else np.asarray(repeats, np.int64)
    counts = [(train[block] @ train.T > threshold) @ times for block in blocks(len(train))]
    # a row of zeros is not even like itself
    return np.maximum(np.concatenate(counts), times) if counts else np.zeros(0, dtype=np.int64)


def self_similarity(train: Floats) -> Floats:
    """Similarity of each training image to its nearest other one, self excluded by id; empty for a single image."""
    if len(train) < 2:
        return NO_FLOATS
    return nearest(train, train, exclude=np.arange(len(train), dtype=np.int64)).similarity[:, 0]


def top(rows: Floats | None, train: Floats) -> Floats:
    """Similarity of each row to its nearest training row."""
    if rows is None or not len(rows):
        return NO_FLOATS
    return nearest(rows, train).similarity[:, 0]


class Seen(NamedTuple):
    """What the pixels add to the evidence."""

    generated: Closest
    heldout: Closest | None
    complexity: Complexity


def see(pixels: Pixels, step: Step = no_step) -> Seen | str:
    """Compare the images themselves, or why not."""
    sets = {"train": pixels.train, "heldout": pixels.heldout, "generated": pixels.generated}
    given = {name: images for name, images in sets.items() if images is not None and images.count}
    work = pixels.train.count * sum(i.count for name, i in given.items() if name != "train")
    if work > MOST_PAIRS:
        return f"{work:,} pairs of images are more than are compared in pixels ({MOST_PAIRS:,})"
    if "train" not in given or "generated" not in given:
        return "no images"
    looks = {
        name: look_cached(images, step(f"look at {name}", images.count)) for name, images in given.items()
    }
    train = looks["train"].thumbnails
    found = {
        name: closest(looks[name].thumbnails, train, step(f"compare pixels of {name}", given[name].count))
        for name in ("generated", "heldout")
        if name in given
    }
    return Seen(found["generated"], found.get("heldout"), looks["train"].complexity)


def build_evidence(
    generated: Floats,
    train: Floats,
    heldout: Floats,
    *,
    matches: Neighbours | None = None,
    background: Floats | None = None,
    ceiling: Floats | None = None,
    features: Features | str | None = None,
    prompts: Sequence[str] | None = None,
    sources: Sequence[Sequence[int]] | None = None,
    pixels: Pixels | Seen | str | None = None,
    alignment: Alignment | str | None = None,
    duplicates: Ints | None = None,
    repeats: Sequence[int] | None = None,
    spaces: Mapping[str, Evidence] | None = None,
    embedder: str = "",
    protocol: str = "",
    protocol_name: str = "",
    trained: str = "",
    neighbours: int = 5,
    step: Step = no_step,
) -> Evidence:
    """Search in all directions and put together what metrics may look at; only the three sets are needed.

    Args:
        generated: unit vectors float32 [g, d].
        train: unit vectors [t, d], at least one.
        heldout: unit vectors [h, d]; [0, d] where there are none.
        matches: generated against train, best first, where the search is done already.
        background: train against train, self excluded by id, [t], where it is known already.
        ceiling: vectors [t, d] of the training images after the backbone's VAE round trip.
        features: what distances between distributions are taken on instead of the unit vectors; a text says why there
            are none where there should be.
        prompts: the original prompt of each generated image, empty where it has none; images of one prompt are drawn
            together.
        sources: for each generated image, the training rows whose caption prompted it (see ``find_sources``); None
            where there are no prompts.
        pixels: access to the images; or what ``see`` found in them, or why there are none.
        alignment: of the images with their prompts; a text says why there is none.
        duplicates: training images alike to each one, itself included, [t]; counted where None.
        repeats: how often the training set holds each training image, [t], counted with ``duplicates``.
        spaces: evidence in the spaces of further embedders, by name, each made by this function.
        embedder: name of the embedder, for a further space.
        protocol: hash of its protocol.
        protocol_name: its name, shown beside numbers.
        trained: which published weights it has.
        neighbours: k of precision, recall, density and coverage.
        step: begins a progress bar.

    Raises:
        DataError: rows that cannot be searched.
    """
    matches = matches or nearest(generated, train)
    reasons = {}
    seen = see(pixels, step) if isinstance(pixels, Pixels) else pixels or NO_PIXELS
    if isinstance(seen, str):
        reasons["pixels"] = seen
    if isinstance(alignment, str):
        reasons["alignment"], alignment = alignment, None
    if isinstance(features, str):
        reasons["features"], features = features, None
    if not sources:
        reasons["own_prompt"] = NO_PROMPTS
    if duplicates is None and len(train) > LARGEST_TRAIN:
        reasons["duplicates"] = f"more than {LARGEST_TRAIN:,} training images; count duplicates beforehand"
        duplicates = NO_INTS
    return Evidence(
        generated=generated,
        train=train,
        heldout=heldout,
        top1=matches.similarity[:, 0],
        nearest=matches.ids[:, 0],
        background=self_similarity(train) if background is None else background,
        floor=top(heldout, train),
        ceiling=top(ceiling, train),
        features=features,
        own_prompt=own_similarity(generated, train, sources) if sources else NO_FLOATS,
        prompts=number_prompts(prompts) if prompts else NO_INTS,
        **from_pixels(seen),
        duplicates=count_alike(train, repeats=repeats) if duplicates is None else duplicates,
        alignment=alignment,
        spaces=spaces or {},
        embedder=embedder,
        protocol=protocol,
        protocol_name=protocol_name,
        trained=trained,
        neighbours=neighbours,
        reasons=reasons,
    )


def from_pixels(seen: Seen | str) -> dict[str, Any]:
    """The fields of ``Evidence`` that the pixels fill."""
    if isinstance(seen, str):
        return {}
    return {
        "carlini": seen.generated.carlini,
        "tiled_l2": seen.generated.tiled_l2,
        "local": seen.generated.local,
        "local_source": seen.generated.source,
        "local_floor": seen.heldout.local if seen.heldout else NO_FLOATS,
        "complexity": seen.complexity,
    }


def unit_rows(rows: Rows) -> Floats:
    """Rows brought to length 1, float32; a row of zeros stays one."""
    rows = rows.astype(np.float64)
    # divided by the largest entry first: squares of large features would leave float64
    rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True, initial=0), 1e-300)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)
