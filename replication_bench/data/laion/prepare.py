"""The order of steps: pick, fetch what is missing, pack, hold out, write the manifest. To resume, call it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replication_bench import plugins
from replication_bench.data.laion.download import Fetched, download, fetched
from replication_bench.data.laion.heldout import hold_out, split_facts
from replication_bench.data.laion.judge import Limits
from replication_bench.data.laion.manifest import (
    NAME,
    Manifest,
    Row,
    fingerprint,
    read_manifest,
    reasons,
    write_manifest,
)
from replication_bench.data.laion.metadata import described
from replication_bench.data.laion.pack import pack, stored
from replication_bench.data.laion.pick import pick
from replication_bench.data.laion.request import Preparation, preparation
from replication_bench.data.laion.tool import VERSION, find_img2dataset
from replication_bench.embedders import parse
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ConfigError, DataError, StoreError
from replication_bench.store import locked

Step = Callable[[str, int], Callable[[int], None]]
PICKED, DOWNLOAD = "picked.jsonl", "download"


@dataclass(frozen=True)
class Prepared:
    """A subset that lies in a folder.

    Attributes:
        folder: where.
        manifest: what it holds.
    """

    folder: Path
    manifest: Manifest

    @property
    def lost(self) -> list[Row]:
        """Rows whose image is to be here and is not, with the reason."""
        return self.manifest.missing

    @property
    def expected(self) -> str:
        """The fingerprint once nothing is lost."""
        return fingerprint([replace(row, reason="") if row.missing else row for row in self.manifest.rows])


def embedder_of(asked: Preparation) -> Embedder | None:
    """What judges near-duplicates; None for equal content alone."""
    if asked.embedder == "none":
        return None
    name, options = parse(asked.embedder)
    found: Embedder = plugins.construct("embedders", name, options)
    return found


def picked(asked: Preparation, out: Path, step: Step) -> Manifest:
    """The choice, from ``out`` where it was made for the same request.

    Raises:
        StoreError: ``out`` holds the choice of another request.
        DataError: see ``pick``.
    """
    path = out / PICKED
    if path.exists():
        found = read_manifest(path)
        check_same(found, asked, out)
        return found
    links, funnel = pick(asked, step)
    facts = {
        "name": "laion-subset",
        "asked": asked.identity,
        "metadata": described(asked.metadata),
        "metadata_rows": funnel.rows,
        "left_out": dict(funnel.left_out),
        "not_applied": funnel.not_applied,
    }
    manifest = Manifest(facts, tuple(Row(f"{i:09d}", *link) for i, link in enumerate(links)))
    write_manifest(path, manifest)
    return manifest


def check_same(found: Manifest, asked: Preparation, where: Path) -> None:
    """Refuse a request that is not the one that ``found`` was made for; what was not typed is not compared.

    Raises:
        StoreError: it is another one.
    """
    now = {key: value for key, value in asked.identity.items() if key in asked.model_fields_set}
    if asked.metadata:
        now = {**asked.identity, "metadata": described(asked.metadata)}
    before = {**found.facts["asked"], "metadata": found.facts["metadata"]}
    for key, value in now.items():
        if before.get(key) != value:
            raise StoreError(
                "there is another subset",
                where=where,
                got=f"{key} = {before.get(key)}",
                want=f"{key} = {value}",
                hint="Choose another --out or manifest, or leave that option out.",
            )


def known_manifest(asked: Preparation, out: Path, given: Path | None) -> Manifest | None:
    """The manifest that is to be fulfilled: the given one, or that of an earlier call; None at the first call.

    Raises:
        DataError: it cannot be read.
        StoreError: ``out`` or the manifest is of another subset.
    """
    own = read_manifest(out / NAME) if (out / NAME).exists() else None
    if given is None:
        if own:
            check_same(own, asked, out)
        return own
    manifest = read_manifest(given)
    check_same(manifest, asked, given)
    if "fingerprint" not in manifest.facts:
        raise DataError(
            "the manifest is not finished", where=given, want="one of a subset whose preparation ended"
        )
    if own and [row.url for row in own.rows] != [row.url for row in manifest.rows]:
        raise StoreError("there is another subset", where=out, hint="Choose another --out.")
    return manifest


def prepare(
    asked: Preparation, out: Path, step: Step, *, given: Path | None = None, retry: bool = False
) -> Prepared:
    """Make, complete or verify the subset in ``out``.

    Args:
        asked: the request; with a manifest only its machine's part is used.
        out: the folder.
        step: begins a progress bar.
        given: the manifest of another machine, whose images are verified and fetched where they are missing.
        retry: whether dead links are fetched again; the split is then made anew, if no image is missing.

    Raises:
        ReplbenchError: input that cannot be used, a full disk, no image at all.
    """
    if not (asked.metadata or given or (out / NAME).exists()):
        raise ConfigError("nothing to prepare from", want="--metadata FILES.parquet, or --manifest FILE")
    with locked(out):
        before = known_manifest(asked, out, given)
        if before is not None:
            machine = asked.model_dump(include={"timeout", "threads", "img2dataset"})
            asked = preparation({**before.facts["asked"], **machine})
        embedder = embedder_of(asked) if before is None or retry else None
        return complete(asked, before, out, step, embedder, retry, unchanged=given is None)


def complete(
    asked: Preparation,
    before: Manifest | None,
    out: Path,
    step: Step,
    embedder: Embedder | None,
    retry: bool,
    unchanged: bool,
) -> Prepared:
    """As ``prepare``, with the manifest to fulfil at hand; ``unchanged`` where it is that of ``out`` itself."""
    base = before or picked(asked, out, step)
    rows = list(base.rows)
    have = stored(out, rows, step("verify", len(rows))) if before else {}
    if before and not retry:
        have |= {row.id: Fetched(reason=row.reason) for row in rows if row.reason and not row.missing}
    if missing := [row for row in rows if row.id not in have]:
        have |= fetch(missing, asked, out, step)
        rows = pack(rows, have, out, limits_of(asked), step("pack", len(rows)))
    elif unchanged:
        return finish(base, out)
    if not any(row.present for row in rows):
        raise nothing_arrived(save(base, rows, out), out)
    if not before or (retry and not any(row.missing for row in rows)):
        images = stored(out, rows, lambda done: None)
        rows = hold_out(rows, images, asked, embedder, step)
        base = replace(base, facts={**base.facts, "split": split_facts(asked, embedder)})
    return finish(save(base, rows, out), out)


def limits_of(asked: Preparation) -> Limits:
    """What images must keep to."""
    return Limits(asked.min_side, asked.max_aspect, asked.max_pixels)


def fetch(missing: Sequence[Row], asked: Preparation, out: Path, step: Step) -> dict[str, Fetched]:
    """The outcomes of the links without one: from earlier attempts, and for the rest from a new one."""
    folder = out / DOWNLOAD
    folder.mkdir(exist_ok=True)
    known = fetched(folder)
    links = [{"id": row.id, "url": row.url, "caption": row.caption} for row in missing if row.id not in known]
    if links:
        command = find_img2dataset(asked.img2dataset, step)
        download(links, folder, asked, command, step("fetch", len(links)))
    outcomes = fetched(folder)
    return {row.id: outcomes[row.id] for row in missing}


def save(base: Manifest, rows: Sequence[Row], out: Path) -> Manifest:
    """Write the manifest, and only then drop what led to it."""
    arrived = sum(row.present for row in rows)
    counts = {"picked": len(rows), "arrived": arrived, "dead": len(rows) - arrived}
    facts = {**base.facts, **counts, "reasons": reasons(rows), "downloader": f"img2dataset {VERSION}"}
    manifest = Manifest({**facts, "fingerprint": fingerprint(rows)}, tuple(rows))
    write_manifest(out / NAME, manifest)
    (out / PICKED).unlink(missing_ok=True)
    shutil.rmtree(out / DOWNLOAD, ignore_errors=True)
    return manifest


def finish(manifest: Manifest, out: Path) -> Prepared:
    """What is to be told; DataError where there is no image."""
    if not manifest.arrived:
        raise nothing_arrived(manifest, out)
    return Prepared(out, manifest)


def nothing_arrived(manifest: Manifest, out: Path) -> DataError:
    """The line for a subset without an image."""
    reason, count = next(iter(manifest.facts["reasons"].items()))
    return DataError(
        "none of the links gave an image",
        where=out / NAME,
        got=f"{count} of {len(manifest.rows)}: {reason}",
        hint="Run the same command with --retry when the links can be reached.",
    )
