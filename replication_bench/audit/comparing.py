"""What an audit measures in the space of each embedder: search, group, label, measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replication_bench.audit.alike import alike_cached
from replication_bench.audit.index import Index
from replication_bench.audit.matches import Found, own_sources, write_matches
from replication_bench.audit.pixels import local_of
from replication_bench.audit.repeated import copy_measurements
from replication_bench.audit.request import AuditRequest, Chosen, Role
from replication_bench.config import MeasureConfig
from replication_bench.duplicates import Alike
from replication_bench.embedders.protocol import FeatureEmbedder, trained_as
from replication_bench.evidence import Pixels, Seen, build_evidence
from replication_bench.metrics import Evidence, Metric, all_metrics
from replication_bench.metrics.local import whole_threshold
from replication_bench.metrics.metric import Alignment, Features
from replication_bench.results import Measurement
from replication_bench.search import Neighbours, nearest
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure
from replication_bench.statistics.measuring import Step, plays
from replication_bench.store import slug

MATCHES_KEPT = 5
LENGTHS_LOST = (
    "the corpus given as {} holds unit vectors without their lengths; remove its shards/ and make it again with "
    "'replbench corpus'"
)


@dataclass(frozen=True)
class Compared:
    """The sets in the space of one embedder.

    Attributes:
        chosen: the embedder.
        sets: an index a set.
        forced: the mark that must stand beside every number where unlike protocols were compared; else empty.
    """

    chosen: Chosen
    sets: Mapping[Role, Index]
    forced: str

    @property
    def features(self) -> Features | str | None:
        """The three sets as the network gave them; None where it gives unit vectors, or why they are lost."""
        if not isinstance(self.chosen.embedder, FeatureEmbedder):
            return None
        if unknown := [role for role, index in self.sets.items() if not index.lengths_known]:
            return LENGTHS_LOST.format(" and ".join(unknown))
        generated, train = self.sets["generated"].features, self.sets["train"].features
        heldout = self.sets.get("heldout")
        return Features(generated, train, heldout.features if heldout else train[:0])


@dataclass(frozen=True)
class Comparison:
    """What is the same for every embedder of an audit.

    Attributes:
        request: what was asked for.
        measure: how.
        folder: of the result.
        step: begins a progress bar.
        names: of all embedders.
        files: names of the tables of matches, by the hash of the protocol.
        pixels: access to the images, or why there is none.
        seen: what was found in the images, or why not.
        alignment: of generated images with their prompts, or why there is none.
    """

    request: AuditRequest
    measure: MeasureConfig
    folder: Path
    step: Step
    names: Sequence[str]
    files: Mapping[str, str]
    pixels: Pixels | str
    seen: Seen | str
    alignment: Alignment | str

    def run(self, one: Compared, first: bool) -> list[Measurement]:
        """Search, group, label and measure; writes the matches."""
        gallery = np.asarray(one.sets["train"].vectors)
        advance = self.step(f"{one.chosen.options.name}: compare training images", len(gallery))
        alike = alike_cached(gallery, self.request.duplicate_threshold, advance)
        kept = min(MATCHES_KEPT, len(gallery))
        matches = nearest(np.asarray(one.sets["generated"].vectors), gallery, kept)
        evidence = self.evidence(one, matches, alike)
        self.write(one, first, Found(one.sets["generated"], one.sets["train"], matches, evidence, alike))
        threshold = whole_threshold(evidence, "99 images of --heldout calibrate it")
        extra = copy_measurements(
            evidence,
            threshold,
            alike,
            self.measure.confidence,
            Seeds(self.request.seed),
            self.measure.bootstrap,
        )
        return [marked(m, one) for m in (*extra, *self.measured(evidence, one, first))]

    def evidence(self, one: Compared, matches: Neighbours, alike: Alike) -> Evidence:
        """What metrics may look at."""
        generated, train = one.sets["generated"], one.sets["train"]
        gallery, heldout = np.asarray(train.vectors), one.sets.get("heldout")
        protocol = one.chosen.embedder.protocol
        prompts = [row.captions[0] if row.captions else "" for row in generated.rows]
        return build_evidence(
            np.asarray(generated.vectors),
            gallery,
            gallery[:0] if heldout is None else np.asarray(heldout.vectors),
            matches=matches,
            background=alike.closest if len(gallery) > 1 else alike.closest[:0],
            features=one.features,
            prompts=prompts if any(prompts) else None,
            sources=own_sources(generated, train) if any(prompts) else None,
            pixels=self.seen,
            alignment=self.alignment,
            duplicates=alike.same,
            embedder=one.chosen.options.name,
            protocol=protocol.hash,
            protocol_name=protocol.name,
            trained=trained_as(one.chosen.embedder),
        )

    def write(self, one: Compared, first: bool, found: Found) -> None:
        """The table of matches, with the local similarity of every pair where there are pixels."""
        looked = not isinstance(self.seen, str)  # else the images are many, or not all at hand
        local = (
            local_of(self.pixels, found.matches.ids) if looked and isinstance(self.pixels, Pixels) else None
        )
        name = "matches" if first else self.files[one.chosen.embedder.protocol.hash]
        write_matches(self.folder, name, found, local)

    def measured(self, evidence: Evidence, one: Compared, first: bool) -> Sequence[Measurement]:
        """Every metric that belongs to this embedder."""
        return measure(
            metrics_of(one.chosen.options.name, self.names, first),
            evidence,
            seeds=Seeds(self.request.seed),
            resamples=self.measure.bootstrap,
            confidence=self.measure.confidence,
            embedder=one.chosen.options.name,
            protocol=one.chosen.embedder.protocol.hash,
            step=self.step,
        )


def metrics_of(name: str, names: Sequence[str], first: bool) -> list[Metric]:
    """The metrics that one of the embedders ``names`` takes: those for any, and those that ask for it.

    The first takes those too that ask for an embedder which was not used: they get that as a reason.
    """

    def belongs(metric: Metric) -> bool:
        if not metric.role or plays(name, metric.role):
            return True
        return first and not any(plays(other, metric.role) for other in names)

    return [metric for metric in all_metrics() if belongs(metric)]


def match_files(chosen: Sequence[Chosen]) -> dict[str, str]:
    """``matches-<embedder>-<protocol>`` by the protocol's hash, which is added where two would have one name."""
    hashes = [one.embedder.protocol.hash for one in chosen]
    titles = [f"matches-{slug(f'{one.options.name}-{one.embedder.protocol.name}')}" for one in chosen]
    return {
        hash: title if titles.count(title) == 1 else f"{title}-{hash[:12]}"
        for hash, title in zip(hashes, titles, strict=True)
    }


def marked(measurement: Measurement, one: Compared) -> Measurement:
    """The measurement with its embedder, and with the mark of a forced comparison."""
    note = "; ".join(filter(None, (measurement.note, one.forced))) or None
    embedder = measurement.embedder or one.chosen.options.name
    protocol = measurement.protocol or one.chosen.embedder.protocol.hash
    return measurement.model_copy(update={"embedder": embedder, "protocol": protocol, "note": note})


def distinct(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Each number once: what does not depend on the embedder is the same for all."""
    return list({(m.name, m.protocol): m for m in reversed(measurements)}.values())[::-1]
