"""What happens to the images of a run: vectors, their nearest training images, measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from PIL import Image

from replication_bench.anchors import write_anchors
from replication_bench.embedders.cache import embed
from replication_bench.embedders.protocol import Vectors, trained_as
from replication_bench.evidence import Pixels, build_evidence, find_sources
from replication_bench.looks import Images
from replication_bench.metrics import Evidence, all_metrics
from replication_bench.results import Measurement
from replication_bench.search import Neighbours, nearest
from replication_bench.spaces import RowsOf, measured_further, rows_beforehand
from replication_bench.statistics import measure
from replication_bench.store import write_atomic

if TYPE_CHECKING:
    from replication_bench.pipeline import Run
    from replication_bench.sampling import Sample

MATCHES_KEPT = 5


class Embedded(NamedTuple):
    """Vectors of a run: training images, held-out ones, training images after the VAE round trip, generated ones.

    ``further`` are rows by further embedders.
    """

    train: Vectors
    heldout: Vectors
    ceiling: Vectors
    generated: Vectors
    further: RowsOf


def sampled(run: Run, samples: Sequence[Sample]) -> Images:
    """The generated images as they were written."""

    def load(index: int) -> Image.Image:
        with Image.open(run.folder / "samples" / f"{samples[index].id}.png") as image:
            return image.convert("RGB")

    return Images(load, len(samples))


def embed_all(run: Run, samples: Sequence[Sample]) -> Embedded:
    """Vectors of all images; the run's processes share the work."""
    bench, step, processes = run.bench, run.watch.step, run.processes
    train, heldout = bench.splits.train, bench.splits.heldout
    made = sampled(run, samples)
    return Embedded(
        train=bench.vectors(train, step("embed train", len(train)), processes),
        heldout=bench.vectors(heldout, step("embed heldout", len(heldout)), processes),
        ceiling=bench.ceiling_vectors(step("embed VAE round trip", len(train))),
        generated=embed(
            bench.embedder,
            made.load,
            len(samples),
            step(f"{run.config.method.name}: embed generated", len(samples)),
            processes,
        ),
        further=rows_beforehand(bench.further, bench.rows_of(made, step, processes)),
    )


def measure_run(run: Run, samples: Sequence[Sample], vectors: Embedded) -> tuple[Measurement, ...]:
    """Search, keep the matches and the anchors, and measure."""
    evidence, matches = find_evidence(run, samples, vectors)
    write_matches(run, samples, matches)
    write_anchors(run.folder, run.bench.splits, evidence)
    config = run.config.measure
    return measure(
        all_metrics(),
        evidence,
        seeds=run.seeds,
        resamples=config.bootstrap,
        confidence=config.confidence,
        embedder=config.embedder,
        protocol=run.bench.embedder.protocol.hash,
        step=run.watch.step,
    )


def find_evidence(run: Run, samples: Sequence[Sample], vectors: Embedded) -> tuple[Evidence, Neighbours]:
    """Search in all three directions, and keep what metrics may look at."""
    bench, splits, step = run.bench, run.bench.splits, run.watch.step
    matches = nearest(vectors.generated, vectors.train, min(MATCHES_KEPT, len(splits.train)))
    prompts = [sample.caption for sample in samples]
    made, captions = sampled(run, samples), [example.captions[0] for example in splits.train]
    return build_evidence(
        vectors.generated,
        vectors.train,
        vectors.heldout,
        matches=matches,
        ceiling=vectors.ceiling,
        prompts=prompts,
        sources=find_sources(prompts, [example.captions for example in splits.train]),
        repeats=[example.repeats for example in splits.train],
        pixels=Pixels(made, bench.images(splits.train), bench.images(splits.heldout)),
        embedder=run.config.measure.embedder,
        protocol=bench.embedder.protocol.hash,
        protocol_name=bench.embedder.protocol.name,
        trained=trained_as(bench.embedder),
        step=step,
        **measured_further(bench.further, vectors.further, prompts, captions),
    ), matches


def write_matches(run: Run, samples: Sequence[Sample], matches: Neighbours) -> None:
    """``matches.parquet`` and ``.csv``: the nearest training images of every generated one."""
    train = run.bench.splits.train
    table = pd.DataFrame(
        {
            "generated": sample.id,
            "rank": rank + 1,
            "train": train[int(index)].id,
            "similarity": float(similarity),
            "prompt": sample.caption,
            "train_caption": train[int(index)].captions[0],
        }
        for sample, ids, values in zip(samples, matches.ids, matches.similarity, strict=True)
        for rank, (index, similarity) in enumerate(zip(ids, values, strict=True))
    )
    write_atomic(run.folder / "matches.parquet", lambda path: table.to_parquet(path, index=False))
    write_atomic(run.folder / "matches.csv", lambda path: table.to_csv(path, index=False))
