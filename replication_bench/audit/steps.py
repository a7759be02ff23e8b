"""The order of an audit's steps, and nothing else: list, embed, search, group, measure, write."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from replication_bench import machine
from replication_bench._version import __version__
from replication_bench.audit.comparing import Compared, Comparison, distinct, match_files
from replication_bench.audit.corpus_index import KIND as CORPUS
from replication_bench.audit.embedding import Embed, embedding
from replication_bench.audit.index import Index
from replication_bench.audit.indexing import absolute, cached_index
from replication_bench.audit.overlap import check_heldout, identical_note
from replication_bench.audit.pixels import pixels_of
from replication_bench.audit.records import dataset_record, images_record
from replication_bench.audit.request import (
    AuditRequest,
    Chosen,
    Place,
    Role,
    choose_embedders,
    default_folder,
    measure_settings,
    open_places,
)
from replication_bench.audit.texts import choose
from replication_bench.embedders.protocol import check_comparable
from replication_bench.errors import DataError, StoreError
from replication_bench.evidence import see
from replication_bench.metrics import all_metrics
from replication_bench.provenance import embedder_record
from replication_bench.results import Measurement, Result, read_result
from replication_bench.store import locked, write_atomic, write_json

PAIRS = "pairs.png"
COMPARED = ("generated", "train", "heldout", "embedders")


class Watcher(Protocol):
    """Told what an audit is doing; the command draws progress bars from it."""

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """A step of ``total`` units begins; the returned function is told how many are done."""
        ...


def force_or_refuse(index: Index, chosen: Chosen, force: bool) -> str:
    """Empty where a saved index follows the embedder's protocol; else the mark of a forced comparison.

    Raises:
        ConfigError: unlike protocols without ``force``.
        DataError: vectors of another length, which nothing can compare.
    """
    made, asked = index.facts.followed, chosen.embedder.protocol
    if made != asked and index.facts.dim != chosen.embedder.dim:
        got = (
            f"{index.facts.dim} features under {made.name} {made.hash[:12]}, "
            f"{chosen.embedder.dim} under {asked.name} {asked.hash[:12]}"
        )
        raise DataError("the vectors have unlike lengths", where=index.folder, got=got)
    hint = "Leave --embedder out to use that of the index, or give --force, which marks the result."
    return check_comparable(made, asked, force, index.folder, hint) or ""


def told_of(index: Index) -> list[Any]:
    """What the numbers and the result depend on, of one set; a corpus may lack the lengths of its vectors."""
    lengths = [index.lengths_known] if index.facts.kind == CORPUS else []
    return [index.facts.fingerprint, index.facts.skipped, index.facts.notes, *lengths]


class Audit:
    """One audit with its folder.

    Raises:
        ReplbenchError: whatever is at fault is told before anything is embedded.
    """

    def __init__(self, request: AuditRequest, out: Path | None, watch: Watcher):
        self.request, self.watch = request, watch
        self.measure = measure_settings(request.settings)
        self.places = open_places(request)
        self.embedders = choose_embedders(request.embedders, self.measure, list(self.places.values()))
        self.texts = choose(self.places, self.measure.alignment)
        self.marks = [self.mark(chosen) for chosen in self.embedders]
        self.folder = out or default_folder(request, self.places)
        self.fresh = False

    def mark(self, chosen: Chosen) -> str:
        """The marks of all saved indexes for one embedder."""
        saved = [place for place in self.places.values() if isinstance(place, Index)]
        marks = (force_or_refuse(index, chosen, self.request.force) for index in saved)
        return "; ".join(dict.fromkeys(filter(None, marks)))

    @property
    def config(self) -> dict[str, Any]:
        """What was compared with what, and how: another configuration is another audit."""
        return {
            **{role: absolute(path) for role, path in self.request.roles()},
            "embedders": [embedder_record(c.options, c.embedder.protocol) for c in self.embedders],
            "measure": self.measure.model_dump(mode="json"),
            "duplicate_threshold": self.request.duplicate_threshold,
            "seed": self.request.seed,
        }

    def execute(self) -> Result:
        """Do whatever is missing and return the result; to resume, call it again."""
        with locked(self.folder):
            found = self.finished()
            compared = [
                self.embed(chosen, mark) for chosen, mark in zip(self.embedders, self.marks, strict=True)
            ]
            check_heldout(compared[0])
            fingerprint = self.fingerprint(compared)
            if found is not None and found.fingerprint == fingerprint:
                return found
            self.fresh = True
            comparison = self.comparison(compared[0])
            measurements = [m for one in compared for m in comparison.run(one, one is compared[0])]
            self.write_skipped(compared[0])
            result = self.result(compared, fingerprint, distinct(measurements))
            (self.folder / PAIRS).unlink(
                missing_ok=True
            )  # that of an earlier audit would outlive an interruption
            write_json(self.folder / "result.json", result.model_dump(mode="json"))
            return result

    def finished(self) -> Result | None:
        """The result of this audit that is there already.

        Raises:
            StoreError: the folder holds another result.
        """
        path = self.folder / "result.json"
        if not path.exists():
            return None
        found = read_result(path)
        asked = json.loads(json.dumps(self.config))
        same = found.kind == "audit" and all(found.config.get(key) == asked.get(key) for key in COMPARED)
        if same or (found.kind == "audit" and self.request.force):
            return found
        raise StoreError(
            "the folder holds another result",
            where=path,
            got=f"{found.kind} {found.id}",
            hint="Choose another --out, or give --force to replace another audit.",
        )

    def embed(self, chosen: Chosen, mark: str) -> Compared:
        """Vectors of every set: those of a saved index, else computed and kept in the cache."""
        with embedding(chosen.options, chosen.embedder, self.request.workers) as embed:
            sets = {role: self.index(role, place, chosen, embed) for role, place in self.places.items()}
        return Compared(chosen, sets, mark)

    def index(self, role: Role, place: Place, chosen: Chosen, embed: Embed) -> Index:
        """One set as an index."""
        if isinstance(place, Index):
            return place
        advance = self.watch.step(f"{chosen.options.name}: embed {role}", len(place.entries))
        return cached_index(place, chosen.options, chosen.embedder, advance, embed)

    def fingerprint(self, compared: Sequence[Compared]) -> str:
        """SHA-256 over everything that can change a number, or what is told of the sets."""
        contents = [[told_of(index) for index in one.sets.values()] for one in compared]
        metrics = [__version__, *(metric.name for metric in all_metrics())]
        texts = self.texts.embedder.protocol.hash if self.texts.embedder else self.texts.why
        key = json.dumps([metrics, self.config, contents, self.marks, texts], sort_keys=True)
        return hashlib.sha256(key.encode()).hexdigest()

    def comparison(self, first: Compared) -> Comparison:
        """What is the same for every embedder."""
        pixels = pixels_of(self.places, first.sets)
        return Comparison(
            request=self.request,
            measure=self.measure,
            folder=self.folder,
            step=self.watch.step,
            names=[chosen.options.name for chosen in self.embedders],
            files=match_files(self.embedders),
            pixels=pixels,
            seen=pixels if isinstance(pixels, str) else see(pixels, self.watch.step),
            alignment=self.texts.align(self.places, self.watch.step, self.request.workers),
        )

    def write_skipped(self, one: Compared) -> None:
        """``skipped.csv``: everything that was found and not used, with the reason."""

        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(("role", "id", "reason"))
                writer.writerows(
                    (role, *line) for role, index in one.sets.items() for line in index.facts.skipped
                )

        write_atomic(self.folder / "skipped.csv", write)

    @cached_property
    def id(self) -> str:
        """The folder's name."""
        return f"audit-{self.folder.resolve().name}"

    def result(
        self, compared: Sequence[Compared], fingerprint: str, measurements: Sequence[Measurement]
    ) -> Result:
        """Everything above as one record."""
        first = compared[0]
        train, heldout = first.sets["train"], first.sets.get("heldout")
        return Result(
            kind="audit",
            id=self.id,
            fingerprint=fingerprint,
            config=self.config,
            passed=self.request.table(),
            dataset=dataset_record(self.request.train, train, heldout),
            embedder=embedder_record(first.chosen.options, first.chosen.embedder.protocol),
            protocol=first.chosen.embedder.protocol.hash,
            seed=self.request.seed,
            images=tuple(
                images_record(role, dict(self.request.roles())[role], i) for role, i in first.sets.items()
            ),
            measurements=tuple(measurements),
            notes=tuple(filter(None, (*self.marks, identical_note(first)))),
            packages=machine.package_versions(),
            commit=machine.commit(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
