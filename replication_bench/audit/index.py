"""The saved index: vectors of a set of images with their ids, content hashes, captions and protocol.

``index.json`` names the two other files of its folder, ``vectors-*.npy`` and ``rows-*.parquet``, and is written last:
a reader sees an old index or a new one, never a mixture. While an index is built its vectors lie in ``chunks/``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.config import NamedOptions
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import DataError, StoreError

NAME, CHUNKS = "index.json", "chunks"
VERSION = 2


@dataclass(frozen=True)
class Row:
    """One image of an index.

    Attributes:
        id: as in its source.
        sha256: of its file's bytes.
        captions: see ``source.Entry``.
        frames: above 1 for an animation, of which the first frame was used.
        norm: length of the vector as the network gave it, before it was brought to 1; Frechet distances need it. None
            where a corpus was embedded before it was kept.
    """

    id: str
    sha256: str
    captions: tuple[str, ...]
    frames: int = 1
    norm: float | None = 1.0


@dataclass(frozen=True)
class Facts:
    """What ``index.json`` says.

    Attributes:
        source: what was indexed, as a path that does not depend on the working folder.
        kind: of the source.
        embedder: name and options, to make it again; empty where an older corpus does not tell.
        protocol: every field of the image protocol.
        protocol_hash: its hash.
        dim: length of a vector.
        found: images found.
        skipped: pairs of id and reason.
        notes: of the source.
        fingerprint: of ids, contents and captions.
        vectors: name of the file of vectors.
        rows: name of the file of rows.
        version: of this format.
    """

    source: str
    kind: str
    embedder: dict[str, Any]
    protocol: dict[str, Any]
    protocol_hash: str
    dim: int
    found: int
    skipped: list[list[str]]
    notes: list[str]
    fingerprint: str
    vectors: str
    rows: str
    version: int = VERSION

    @property
    def followed(self) -> ImageProtocol:
        """The protocol that the vectors were made under."""
        # JSON has no tuples
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.protocol.items()}
        return ImageProtocol(**fields)


@dataclass(frozen=True)
class Index:
    """An index that was read: rows and vectors [n, dim] in one order; the vectors stay on disk until they are used."""

    folder: Path
    facts: Facts
    rows: tuple[Row, ...]
    vectors: Vectors

    @property
    def embedder(self) -> NamedOptions:
        """The embedder it was made with."""
        return NamedOptions.model_validate(self.facts.embedder)

    @cached_property
    def lengths_known(self) -> bool:
        """Whether ``features`` can be had."""
        return all(row.norm is not None for row in self.rows)

    @cached_property
    def features(self) -> Vectors:
        """The vectors as the network gave them, float32 [n, dim]; asked only where ``lengths_known``."""
        norms = np.array([row.norm for row in self.rows], dtype=np.float32)
        return np.asarray(self.vectors) * norms[:, None]


def is_index(folder: Path) -> bool:
    """Whether ``folder`` is a saved index."""
    return (folder / NAME).is_file()


def is_corpus(folder: Path) -> bool:
    """Whether the index in ``folder`` was merged by ``replbench corpus``."""
    try:
        table = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(table, dict) and "format" in table


def read_facts(folder: Path) -> Facts:
    """``index.json``.

    Raises:
        DataError: it is broken, or newer than this package.
    """
    path = folder / NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        version = table["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the index cannot be read", where=path, got=f"{type(error).__name__}: {error}"
        ) from error
    if version != VERSION:
        hint = "Make it again with 'replbench index --force'."
        raise DataError("an index of another version", where=path, got=version, want=VERSION, hint=hint)
    try:
        return Facts(**table)
    except TypeError as error:
        raise DataError("the index is broken", where=path, got=error) from error


def read_index(folder: Path) -> Index:
    """A saved index.

    Raises:
        DataError: a file of it is missing or broken, or its parts do not belong together.
    """
    facts = read_facts(folder)
    try:
        vectors = np.load(folder / facts.vectors, mmap_mode="r", allow_pickle=False)
        table = pq.read_table(folder / facts.rows).to_pylist()
        rows = tuple(Row(**{**row, "captions": tuple(row["captions"])}) for row in table)
    except (OSError, ValueError, KeyError, TypeError, EOFError, pa.ArrowException) as error:
        hint = "Make it again with 'replbench index --force'."
        raise DataError("the index is broken", where=folder, got=error, hint=hint) from error
    if vectors.shape != (len(rows), facts.dim) or vectors.dtype != np.float32:
        got, want = f"{vectors.dtype} {list(vectors.shape)}", f"float32 [{len(rows)}, {facts.dim}]"
        raise DataError("the index is broken", where=folder / facts.vectors, got=got, want=want)
    return Index(folder, facts, rows, vectors)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows as parquet, with their types stated so that an empty list of captions has one."""
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("sha256", pa.string()),
            ("captions", pa.list_(pa.string())),
            ("frames", pa.int64()),
            ("norm", pa.float64()),
        ]
    )
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), path)


def remove_old(folder: Path, facts: Facts) -> None:
    """Remove chunks and the files of earlier states."""
    shutil.rmtree(folder / CHUNKS, ignore_errors=True)
    for path in folder.iterdir():
        if own_name(path.name) and path.name not in (facts.vectors, facts.rows):
            path.unlink(missing_ok=True)


def check_place(folder: Path) -> None:
    """Refuse to make an index among files that are not its own.

    Raises:
        StoreError: the folder holds something else, or is a file.
    """
    if folder.is_file():
        raise StoreError("the index needs a folder", where=folder, got="a file", hint="Choose another --out.")
    if is_corpus(folder):
        raise StoreError("the index of several shards is there", where=folder, hint="Choose another --out.")
    others = [path.name for path in folder.iterdir()] if folder.is_dir() and not is_index(folder) else []
    check_alone(folder, sorted(n for n in others if n not in (CHUNKS, ".lock") and not own_name(n)))


def check_alone(folder: Path, strange: Sequence[str]) -> None:
    """Raise StoreError where an index in ``folder`` would lie beside ``strange``, whose first is told."""
    if strange:
        got, hint = f"a folder that holds {strange[0]}", "Choose an empty or new folder."
        raise StoreError("the index would lie among other files", where=folder, got=got, hint=hint)


def own_name(name: str) -> bool:
    """Whether a file of this name may be left over from an index that was being written."""
    return name.lstrip(".").startswith(("vectors-", "rows-", "index-"))
