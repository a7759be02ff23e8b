"""Making an index and bringing it up to date: only images whose bytes are new are embedded.

Vectors are kept in chunks on the way, so that what interrupts the work costs one chunk at most.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from replication_bench.audit.chunks import Chunks, Known
from replication_bench.audit.embedding import Embed
from replication_bench.audit.index import (
    CHUNKS,
    NAME,
    Facts,
    Index,
    Row,
    check_place,
    is_index,
    read_facts,
    read_index,
    remove_old,
    write_rows,
)
from replication_bench.config import NamedOptions
from replication_bench.embedders.norms import with_norms
from replication_bench.embedders.protocol import Embedder, differences
from replication_bench.errors import ConfigError, DataError
from replication_bench.sources.source import Entry, Skipped, Source, picture_of
from replication_bench.store import cache_folder, locked, write_atomic, write_json

CHUNK = 64
THREADS = 4


class Loaded(NamedTuple):
    """A file that was read: decoded only where its vector is not known."""

    sha256: str
    image: Image.Image | None
    frames: int


@dataclass
class Builder:
    """One pass over a source.

    Attributes:
        rows: the images that were read, in order.
        skipped: what was not, with the reason.
    """

    source: Source
    embedder: Embedder
    embed: Embed
    known: Known
    chunks: Chunks
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def load(self, entry: Entry) -> Loaded | Skipped:
        """Read, hash, and decode where that is needed."""
        try:
            data = entry.read()
            sha256 = hashlib.sha256(data).hexdigest()
            if sha256 in self.known.vectors:
                return Loaded(sha256, None, self.known.frames[sha256])
            return Loaded(sha256, *picture_of(data, entry.id))
        except DataError as error:
            return Skipped(entry.id, str(error))

    def run(self, progress: Callable[[int], None]) -> None:
        """Embed what is new."""
        done = 0
        for entries, loaded in ahead(self.source.entries, self.load):
            self.take(entries, loaded)
            done += len(entries)
            progress(done)

    def take(self, entries: Sequence[Entry], loaded: Sequence[Loaded | Skipped]) -> None:
        """One chunk: rows for what was read, vectors for what is new."""
        new: dict[str, Loaded] = {}
        for entry, found in zip(entries, loaded, strict=True):
            if isinstance(found, Skipped):
                self.skipped.append(found)
                continue
            self.rows.append(Row(entry.id, found.sha256, entry.captions, found.frames))
            if found.image is not None and found.sha256 not in self.known.vectors:
                new.setdefault(found.sha256, found)
        if new:
            images = [found.image for found in new.values() if found.image is not None]
            vectors, norms = self.embed(images)
            frames = [found.frames for found in new.values()]
            self.chunks.write(list(new), vectors, frames, norms)
            self.known.add(list(new), vectors, frames, norms)


def ahead(
    entries: Sequence[Entry], load: Callable[[Entry], Loaded | Skipped]
) -> Iterator[tuple[Sequence[Entry], list[Loaded | Skipped]]]:
    """Chunks of entries with what was loaded; the next chunk is read while one is embedded."""
    chunks = [entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:

        def submit(chunk: Sequence[Entry]) -> list[Future[Loaded | Skipped]]:
            return [pool.submit(load, entry) for entry in chunk]

        following = submit(chunks[0]) if chunks else []
        for place, chunk in enumerate(chunks):
            current, following = following, submit(chunks[place + 1]) if place + 1 < len(chunks) else []
            try:
                yield chunk, [future.result() for future in current]
            except GeneratorExit:
                pool.shutdown(cancel_futures=True)
                raise


def fingerprint_of(rows: Sequence[Row]) -> str:
    """SHA-256 over ids, contents and captions in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\x1f".join((row.id, row.sha256, *row.captions)).encode(errors="surrogateescape"))
        digest.update(b"\x1e")
    return digest.hexdigest()


def earlier(folder: Path, embedder: Embedder, force: bool) -> Index | None:
    """The index that is there already; None where there is none, or a forced rebuild replaces it.

    Raises:
        ConfigError: it was made under another protocol.
    """
    check_place(folder)
    if not is_index(folder):
        return None
    try:
        made = read_facts(folder).followed
        if made == embedder.protocol:
            return read_index(folder)
    except DataError:
        if not force:
            raise
        return None
    if force:
        return None
    raise ConfigError(
        "the index was made under another protocol",
        where=folder,
        got=f"{made.name} {made.hash[:12]}",
        want=f"{embedder.protocol.name} {embedder.protocol.hash[:12]} ({differences(made, embedder.protocol)})",
        hint="Choose another --out, or give --force to make it anew.",
    )


def update_index(
    source: Source,
    folder: Path,
    chosen: NamedOptions,
    embedder: Embedder,
    progress: Callable[[int], None],
    force: bool = False,
    embed: Embed | None = None,
    wait: bool = False,
) -> Index:
    """Make the index of ``source`` in ``folder``, or bring it up to date; to go on after an interruption, call again.

    Args:
        source: images.
        folder: the index.
        chosen: name and options of the embedder, recorded to make it again.
        embedder: images to vectors.
        progress: told how many images are done.
        force: replace an index of another protocol.
        embed: see ``embedding``; in this process where left out.
        wait: for another process that is at work in ``folder``; else it is an error.

    Raises:
        ConfigError: the index that is there was made under another protocol.
        DataError: no image could be read.
        StoreError: the folder holds something else, or cannot be written.
    """
    check_place(folder)
    with locked(folder, wait):
        before = earlier(folder, embedder, force)
        known = Known()
        if before is not None:
            rows = before.rows
            hashes, frames = [row.sha256 for row in rows], [row.frames for row in rows]
            known.add(hashes, before.vectors, frames, [1.0 if row.norm is None else row.norm for row in rows])
        chunks = Chunks(folder / CHUNKS / embedder.protocol.hash[:12], embedder.dim)
        chunks.read(known)
        builder = Builder(source, embedder, embed or partial(with_norms, embedder), known, chunks)
        builder.run(progress)
        return finish(builder, folder, chosen, before)


def cached_index(
    source: Source,
    chosen: NamedOptions,
    embedder: Embedder,
    progress: Callable[[int], None],
    embed: Embed | None = None,
) -> Index:
    """The index of ``source`` in the cache, brought up to date; every audit of the same path shares it.

    An audit that is at work on it is waited for: what it embeds need not be embedded again.
    """
    key = hashlib.sha256(f"{absolute(source.path)}\n{embedder.protocol.hash}".encode()).hexdigest()
    folder = cache_folder() / "audit" / key[:24]
    return update_index(source, folder, chosen, embedder, progress, force=True, embed=embed, wait=True)


def finish(builder: Builder, folder: Path, chosen: NamedOptions, before: Index | None) -> Index:
    """Write the files, then ``index.json``; nothing is written where nothing changed."""
    source = builder.source
    rows = [replace(row, norm=builder.known.norms[row.sha256]) for row in builder.rows]
    skipped = [*source.skipped, *builder.skipped]
    if not rows:
        raise DataError(
            "no image can be read", where=source.path, got=f"{len(skipped)} skipped; {skipped[0].reason}"
        )
    fingerprint = fingerprint_of(rows)
    facts = facts_of(builder, chosen, fingerprint, skipped)
    if before is None or before.facts != facts:
        write_atomic(folder / facts.rows, lambda path: write_rows(path, rows))
        write_atomic(folder / facts.vectors, lambda path: save_vectors(path, builder))
        write_json(folder / NAME, asdict(facts))
    remove_old(folder, facts)
    return read_index(folder)


def facts_of(builder: Builder, chosen: NamedOptions, fingerprint: str, skipped: Sequence[Skipped]) -> Facts:
    """What ``index.json`` will say; passed through JSON, so that it equals what is read."""
    source, protocol = builder.source, builder.embedder.protocol
    short = hashlib.sha256((fingerprint + protocol.hash).encode()).hexdigest()[:12]
    facts = Facts(
        source=absolute(source.path),
        kind=source.kind,
        embedder=chosen.model_dump(),
        protocol=asdict(protocol),
        protocol_hash=protocol.hash,
        dim=builder.embedder.dim,
        found=len(source.entries) + len(source.skipped),
        skipped=[[one.id, one.reason] for one in skipped],
        notes=list(source.notes),
        fingerprint=fingerprint,
        vectors=f"vectors-{short}.npy",
        rows=f"rows-{short}.parquet",
    )
    return Facts(**json.loads(json.dumps(asdict(facts))))


def absolute(path: str) -> str:
    """``path`` from the root, patterns included."""
    return str(Path(path).expanduser().absolute())


def save_vectors(path: Path, builder: Builder) -> None:
    """The vectors in the order of the rows, written row by row into a file that is mapped into memory."""
    shape = (len(builder.rows), builder.embedder.dim)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for place, row in enumerate(builder.rows):
        array[place] = builder.known.vectors[row.sha256]
    array.flush()
