"""What an audit was asked for, and what that means: sources or saved indexes, embedders, numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from replication_bench.audit.corpus_index import open_index
from replication_bench.audit.embedders import build_embedder, choose_embedder
from replication_bench.audit.index import Index, is_index
from replication_bench.audit.indexing import absolute
from replication_bench.config import MeasureConfig, NamedOptions, apply_setting, validate
from replication_bench.duplicates import THRESHOLD, check_threshold
from replication_bench.embedders.pool import check_workers
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ConfigError
from replication_bench.sources.opening import open_source
from replication_bench.sources.source import Source
from replication_bench.store import slug

Role = Literal["generated", "train", "heldout"]
Place = Source | Index


@dataclass(frozen=True)
class AuditRequest:
    """What ``replbench audit`` was asked for.

    Attributes:
        generated, train, heldout: see ``opening.open_source``; or the folder of a saved index.
        prompts: of the generated images.
        embedders: ``NAME[@PROTOCOL]``; empty for that of a saved index, else the default.
        settings: ``measure.key=value``.
        seed: of the bootstrap.
        duplicate_threshold: similarity above which two training images are near-duplicates.
        force: compare unlike protocols, and mark it; replace another audit in the output folder.
        workers: processes that embed.
    """

    generated: str
    train: str
    heldout: str | None = None
    prompts: Path | None = None
    embedders: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seed: int = 0
    duplicate_threshold: float = THRESHOLD
    force: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        check_workers(self.workers)
        check_threshold(self.duplicate_threshold, "--duplicate-threshold")

    def roles(self) -> Iterator[tuple[Role, str]]:
        """The sets that were given, in order."""
        yield "generated", self.generated
        yield "train", self.train
        if self.heldout is not None:
            yield "heldout", self.heldout

    def table(self) -> dict[str, Any]:
        """As a result records what was passed."""
        given = {name: value for name, value in vars(self).items() if value not in (None, (), False)}
        return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def measure_settings(settings: tuple[str, ...]) -> MeasureConfig:
    """The section ``measure`` after ``--set``.

    Raises:
        ConfigError: a key of another section, an unknown one, or a value out of range.
    """
    table: dict[str, Any] = {}
    for setting in settings:
        apply_setting(table, setting)
    if strange := [name for name in table if name != "measure"]:
        want = "measure.bootstrap, measure.confidence, measure.pairs or measure.embedder_options"
        raise ConfigError("an audit has no such setting", where="--set", got=strange[0], want=want)
    return validate(table, "--set").measure


def open_places(request: AuditRequest) -> dict[Role, Place]:
    """Every set, listed but not read."""
    return {
        role: open_place(path, request.prompts if role == "generated" else None)
        for role, path in request.roles()
    }


def open_place(path: str, prompts: Path | None = None) -> Place:
    """A saved index, or a source.

    Raises:
        ConfigError: prompts for an index, which holds its own.
        DataError: see ``opening.open_source`` and ``corpus_index.open_index``.
    """
    folder = Path(path).expanduser()
    if not is_index(folder):
        return open_source(path, prompts)
    if prompts is not None:
        hint = "Give the folder of images itself."
        raise ConfigError("a saved index holds its own captions", where="--prompts", got=prompts, hint=hint)
    return open_index(folder)


@dataclass(frozen=True)
class Chosen:
    """An embedder with the name and options that make it again."""

    options: NamedOptions
    embedder: Embedder


def choose_embedders(typed: tuple[str, ...], measure: MeasureConfig, places: list[Place]) -> list[Chosen]:
    """The embedders that were typed; else that of the first saved index; else the default.

    Raises:
        ConfigError: an embedder or protocol that cannot be meant, or one that is named twice.
        WeightsError: missing weights.
    """
    indexes = [place for place in places if isinstance(place, Index)]
    saved = next((index.embedder for index in indexes if index.facts.embedder), None)
    if not typed and saved is not None:
        return [Chosen(saved, build_embedder(saved))]
    texts = typed or (measure.embedder,)
    found = [Chosen(*choose_embedder(text, measure.embedder_options)) for text in texts]
    hashes = [chosen.embedder.protocol.hash for chosen in found]
    if len(set(hashes)) < len(hashes):
        raise ConfigError("an embedder is named twice", where="--embedder", got=", ".join(texts))
    return found


def default_folder(request: AuditRequest, places: dict[Role, Place]) -> Path:
    """``audits/<generated>-<train>-<hash of what was given>``."""
    names = [place.label if isinstance(place, Source) else place.folder.name for place in places.values()]
    given = json.dumps([list(request.embedders), *(absolute(path) for _, path in request.roles())])
    short = hashlib.sha256(given.encode()).hexdigest()[:8]
    return Path("audits") / slug(f"{names[0]}-{names[1]}-{short}")
