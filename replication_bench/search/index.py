"""Indexes on disk: exact, inverted lists of float16 rows, inverted lists of product-quantised codes.

An index is a folder: ``vectors.npy`` (or the files that ``index.json`` names), ``index.faiss`` where the kind has one,
and ``index.json``. Approximate kinds only propose candidates: their similarities are computed from the stored vectors,
so a similarity is exact whatever the kind, and only a match can be missed. How often is measured (``measured_recall``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import ConfigError, DataError, did_you_mean
from replication_bench.search.approximate import GPU_CODES, Plan, proposed, trained, with_rows
from replication_bench.search.exact import check_search, nearest
from replication_bench.search.files import (
    FACTS,
    STRUCTURE,
    VECTORS,
    read_facts,
    read_structure,
    write_rows,
    write_structure,
)
from replication_bench.search.library import GPU_MOST, gpu_resources, library
from replication_bench.search.neighbours import Neighbours, cut, nothing, without
from replication_bench.search.rows import Rows, check_shape, open_rows, read_block
from replication_bench.search.ties import rescored
from replication_bench.store import write_json

KINDS = ("exact", "ivf-flat", "ivf-pq")
FORMAT = 1
QUERY_BLOCK = 1024


@dataclass(frozen=True)
class IndexFacts:
    """What ``index.json`` says.

    Attributes:
        kind: one of ``KINDS``.
        rows: number of vectors.
        dim: their length.
        dtype: how they are stored: ``float16`` or ``float32``.
        vectors: the .npy files that hold them, one below the other; relative paths start at the index's folder.
        protocol: what the vectors are, with ``name`` and ``hash``; empty where unknown.
        parameters: how the index was built and is searched.
        recall: what ``record_recall`` measured; None before.
        extra: what the builder adds, such as the shards of a corpus.
        format: version of this layout.
    """

    kind: str
    rows: int
    dim: int
    dtype: str
    vectors: tuple[str, ...] = (VECTORS,)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recall: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass
class Index:
    """An index that lies in a folder.

    Args:
        folder: where it lies.
        facts: its ``index.json``.
    """

    folder: Path
    facts: IndexFacts

    @cached_property
    def rows(self) -> Rows:
        """The stored vectors, float [n, d], read from disk as needed; DataError where they do not fit the facts."""
        paths = [self.folder / name for name in self.facts.vectors]
        rows = open_rows(paths if len(paths) > 1 else paths[0])
        if rows.shape != (self.facts.rows, self.facts.dim):
            want = f"[{self.facts.rows}, {self.facts.dim}]"
            got = list(rows.shape)
            raise DataError("the vectors do not fit index.json", where=self.folder, got=got, want=want)
        return rows

    @cached_property
    def structure(self) -> Any:
        """The FAISS index: memory-mapped, or copied to the GPU where FAISS sees one that holds its codes."""
        structure = read_structure(self.folder / STRUCTURE)
        gpu = gpu_resources()
        if gpu is None or self.facts.parameters.get("code_bytes", 1) not in GPU_CODES:
            return structure
        options = library().GpuClonerOptions()
        options.useFloat16 = True  # tables of 64 byte codes fit the shared memory of a GPU only as float16
        return library().index_cpu_to_gpu(gpu, 0, library().read_index(str(self.folder / STRUCTURE)), options)

    def search(
        self,
        queries: Rows | NDArray[Any],
        k: int = 1,
        *,
        exclude: NDArray[np.int64] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Neighbours:
        """As ``nearest`` over the stored vectors; an approximate kind may miss some, and then fills up with id -1.

        ``progress`` is told gallery rows for the kind ``exact``, queries for the others.

        Raises:
            DataError: see ``nearest``; files that are missing or damaged.
        """
        if self.facts.kind == "exact":
            return nearest(queries, self.rows, k, exclude=exclude, progress=progress)
        check_search(queries, self.rows, k, exclude)
        wide = min(max((k + 1) * self.facts.parameters["rescore"], 32), len(self.rows), GPU_MOST)
        blocks = []
        for start in range(0, len(queries), QUERY_BLOCK):
            part = read_block(queries, start, QUERY_BLOCK, "query")
            ids = proposed(self.structure, part, max(wide, k + 1), self.facts.parameters["probes"])
            found = rescored(part, self.rows, ids)
            if exclude is not None:
                found = without(found, exclude[start : start + QUERY_BLOCK])
            blocks.append(cut(found, k))
            if progress:
                progress(start + len(part))
        if not blocks:
            return nothing(0, k)
        ids, similarity = (np.concatenate(side) for side in zip(*blocks, strict=True))
        return Neighbours(ids, similarity)


def write_facts(folder: Path, facts: IndexFacts) -> None:
    """Write ``index.json``; it is written last, so a folder that has one is complete."""
    write_json(folder / FACTS, asdict(facts))


def stored_vectors(
    source: Any, out: Path, dtype: str, progress: Callable[[int], None] | None
) -> tuple[tuple[str, ...], Rows]:
    """Vectors given as files are named, relative to ``out``; an array is written to ``out``."""
    if isinstance(source, str | Path):
        source = [source]
    if isinstance(source, Sequence):
        paths = [Path(path) for path in source]
        return tuple(os.path.relpath(path.resolve(), out.resolve()) for path in paths), open_rows(paths)
    write_rows(out / VECTORS, source, dtype, progress)
    return (VECTORS,), open_rows(out / VECTORS)


def build_index(
    source: str | Path | Sequence[str | Path] | Rows | NDArray[Any],
    out: str | Path,
    kind: str = "exact",
    *,
    plan: Plan | None = None,
    dtype: str = "float16",
    protocol: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Index:
    """Build an index folder; memory holds a sample for training and the codes, never the vectors.

    Args:
        source: one .npy file or several (left where they are), or rows float [n, d] that are written to ``out``.
        out: the folder.
        kind: ``exact`` (no structure; streamed), ``ivf-flat`` (inverted lists of float16 rows: 2 d bytes a row more),
            ``ivf-pq`` (inverted lists of ``plan.code_bytes`` bytes a row).
        plan: numbers of the approximate kinds; the defaults fit the number of rows.
        dtype: ``float16`` or ``float32``; how rows given as an array are stored.
        protocol: what the vectors are, with ``name`` and ``hash``.
        extra: recorded in ``index.json``.
        progress: told the number of rows that were added.

    Raises:
        ConfigError: an unknown kind.
        DataError: rows that cannot be indexed, too few rows for the kind.
        StoreError: the folder cannot be written, or the disk is full.
        WeightsError: FAISS is not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown index kind '{kind}'", hint=did_you_mean(kind, KINDS))
    out = Path(out)
    (out / FACTS).unlink(missing_ok=True)  # without it the folder is not an index until it is complete
    names, rows = stored_vectors(source, out, dtype, progress if kind == "exact" else None)
    check_shape(rows, "feature", least=1)
    parameters: dict[str, Any] = {}
    if kind != "exact":
        plan = (plan or Plan()).fitted(kind, *rows.shape)
        write_structure(out / STRUCTURE, with_rows(trained(rows, kind, plan), rows, progress))
        parameters = asdict(plan)
    facts = IndexFacts(
        kind=kind,
        rows=len(rows),
        dim=rows.shape[1],
        dtype=str(rows.dtype),
        vectors=names,
        protocol=protocol or {},
        parameters=parameters,
        extra=extra or {},
    )
    write_facts(out, facts)
    return Index(out, facts)


def open_index(folder: str | Path) -> Index:
    """Open an index; nothing is read but its ``index.json``.

    Raises:
        DataError: no index there, damaged, or written by a newer version.
    """
    folder = Path(folder)
    found = read_facts(folder)
    if found.get("format") != FORMAT:
        raise DataError("another format of index", where=folder, got=found.get("format"), want=FORMAT)
    try:
        facts = IndexFacts(**{**found, "vectors": tuple(found["vectors"])})
    except (TypeError, KeyError) as error:
        raise DataError("index.json is damaged", where=folder, got=error, hint="Build it again.") from error
    if facts.kind not in KINDS:
        raise DataError("unknown kind of index", where=folder, got=facts.kind, want=", ".join(KINDS))
    return Index(folder, facts)
