"""What other networks than the copy detector say of the images: fit to the prompts, and distances in further spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from replication_bench import plugins
from replication_bench.alignment import align, require_texts
from replication_bench.config import MeasureConfig
from replication_bench.embedders import Embedder, FeatureEmbedder, ImageTextEmbedder, parse
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.evidence import build_evidence, unit_rows
from replication_bench.metrics import Evidence, all_metrics
from replication_bench.metrics.metric import NO_FLOATS, NO_INTS, Alignment, Features, Rows

AUTO, NONE = "auto", "none"
POCKET, IMAGENET = "pocket-clip", "efficientnet-lite0@lite0-128"
TURNED_OFF = "measure.alignment is 'none'"
ALIGNED = ("generated", "train")  # images that have texts

# rows of ``generated``, ``train`` or ``heldout`` by an embedder: as the network gives them where the last is True
RowsOf = Callable[[Embedder, str, bool], Rows]


@dataclass(frozen=True)
class Further:
    """The further embedders of a measurement.

    Attributes:
        texts: compares images with their prompts; None where there is none.
        why: why there is none.
        fidelity: in whose spaces distances are taken too, by the name of the space.
    """

    texts: ImageTextEmbedder | None
    why: str
    fidelity: dict[str, Embedder]

    @property
    def facts(self) -> dict[str, str]:
        """Hashes that stand in the fingerprint of a run."""
        found = {f"fidelity {name}": one.protocol.hash for name, one in self.fidelity.items()}
        return found | ({"alignment": self.texts.protocol.hash} if self.texts else {})


def construct(text: str) -> Embedder:
    """The embedder that ``text`` names, as for ``--embedder``; see ``plugins.construct`` for what is raised."""
    name, options = parse(text)
    embedder: Embedder = plugins.construct("embedders", name, options)
    return embedder


@cache
def where_there(text: str) -> Embedder | str:
    """The embedder, loaded once a process, or why it is not there: nobody asked for it."""
    try:
        return construct(text)
    except WeightsError as error:
        return str(error)


def choose_texts(name: str) -> tuple[ImageTextEmbedder | None, str]:
    """The image-text embedder of ``measure.alignment``, or None and why.

    Raises:
        ConfigError: an embedder without a text tower.
        WeightsError: one that was asked for is missing.
    """
    if name == NONE:
        return None, TURNED_OFF
    found = where_there(POCKET) if name == AUTO else construct(name)
    return (None, found) if isinstance(found, str) else (require_texts(found), "")


def choose_fidelity(names: Sequence[str]) -> dict[str, Embedder]:
    """The embedders of ``measure.fidelity`` by the names of their spaces.

    Raises:
        ConfigError: one that is named twice.
        WeightsError: one that was asked for is missing.
    """
    found: dict[str, Embedder] = {}
    for name in names:
        embedder = where_there(IMAGENET) if name == AUTO else construct(name)
        if isinstance(embedder, str):
            continue
        if embedder.name in found:
            raise ConfigError("an embedder is named twice", where="measure.fidelity", got=", ".join(names))
        found[embedder.name] = embedder
    return found


def choose_further(measure: MeasureConfig) -> Further:
    """What a run measures beside its own embedder; see ``choose_texts`` and ``choose_fidelity`` for what is raised."""
    return Further(*choose_texts(measure.alignment), choose_fidelity(measure.fidelity))


def space_of(embedder: Embedder, rows: RowsOf, prompts: Sequence[str]) -> Evidence:
    """The three sets in the space of a further embedder; distances on what its network gives, before norm 1."""
    raw = isinstance(embedder, FeatureEmbedder)
    sets = [rows(embedder, role, raw) for role in Features._fields]
    return build_evidence(
        *map(unit_rows, sets),
        features=Features(*sets) if raw else None,
        prompts=prompts,
        background=NO_FLOATS,
        duplicates=NO_INTS,
        embedder=embedder.name,
        protocol=embedder.protocol.hash,
        protocol_name=embedder.protocol.name,
    )


def wanted(embedder: Embedder) -> bool:
    """Whether a metric asks for the space of this embedder."""
    return any(metric.role and embedder.name.startswith(metric.role) for metric in all_metrics())


def all_spaces(further: Further) -> dict[str, Embedder]:
    """The embedders in whose spaces distances are taken, by name; the image-text one where a metric asks for it."""
    texts = further.texts
    if texts is None or texts.name in further.fidelity or not wanted(texts):
        return further.fidelity
    return {**further.fidelity, texts.name: texts}


def asked(further: Further) -> Iterator[tuple[Embedder, str, bool]]:
    """The rows that ``measured_further`` looks at: what ``RowsOf`` takes."""
    for embedder in all_spaces(further).values():
        for role in Features._fields:
            yield embedder, role, isinstance(embedder, FeatureEmbedder)
    if further.texts is not None:
        for role in ALIGNED:
            yield further.texts, role, False


def rows_beforehand(further: Further, rows: RowsOf) -> RowsOf:
    """``rows`` of all that is ``asked``, computed now: processes share that, and one of them measures."""

    def key(embedder: Embedder, role: str, raw: bool) -> tuple[str, str, str, bool]:
        return embedder.name, embedder.protocol.hash, role, raw

    wanted_rows = {key(*each): each for each in asked(further)}
    found = {name: rows(*each) for name, each in wanted_rows.items()}
    return lambda *each: found[key(*each)]


def measured_further(
    further: Further, rows: RowsOf, prompts: Sequence[str], captions: Sequence[str]
) -> dict[str, Any]:
    """What ``build_evidence`` takes of further embedders: ``alignment`` and ``spaces``.

    Args:
        further: see ``choose_further``.
        rows: images to vectors.
        prompts: the original prompt of each generated image.
        captions: the first caption of each training image; empty where it has none.
    """
    spaces = {name: space_of(embedder, rows, prompts) for name, embedder in all_spaces(further).items()}
    texts = further.texts
    if texts is None:
        return {"alignment": further.why, "spaces": spaces}
    generated, train = (np.asarray(rows(texts, role, False)) for role in ALIGNED)
    alignment: Alignment = align(texts, generated, prompts, train, captions)
    return {"alignment": alignment, "spaces": spaces}
