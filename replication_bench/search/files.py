"""Files of an index: matrices written block by block, FAISS structures memory-mapped, index.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from replication_bench.errors import DataError
from replication_bench.search.library import library
from replication_bench.search.rows import Rows, read_block
from replication_bench.store import write_atomic

BLOCK = 16384
FACTS = "index.json"
VECTORS = "vectors.npy"
STRUCTURE = "index.faiss"


def write_rows(path: Path, rows: Rows, dtype: Any, progress: Callable[[int], None] | None = None) -> None:
    """Write a matrix as .npy, a block at a time and atomically, so that neither memory nor a crash matters.

    A memory map would be shorter, but a full disk would then end the process with a bus error.

    Args:
        path: where to.
        rows: float [n, d].
        dtype: float16 or float32.
        progress: told the number of rows that are written.

    Raises:
        DataError: rows that are not finite, or too large for ``dtype``.
        StoreError: the file cannot be written in full.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": rows.shape,
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as handle:
            np.lib.format.write_array_header_1_0(handle, header)
            for start in range(0, len(rows), BLOCK):
                block = narrowed(read_block(rows, start, BLOCK, "feature"), dtype, path)
                handle.write(block.tobytes())
                if progress:
                    progress(start + len(block))

    write_atomic(path, write)


def narrowed(block: Any, dtype: Any, where: Path) -> Any:
    """A finite block in the storage format; DataError where a value is too large for it."""
    with np.errstate(over="ignore"):
        narrow = block.astype(dtype)
    if not np.isfinite(narrow).all():
        got = f"magnitudes up to {np.abs(block).max():.3g}"
        raise DataError(f"values too large for {np.dtype(dtype)}", where=where, got=got, want="unit rows")
    return narrow


def write_structure(path: Path, index: Any) -> None:
    """Write a FAISS index atomically.

    Raises:
        StoreError: it cannot be written in full.
    """

    def write(temporary: Path) -> None:
        try:
            library().write_index(index, str(temporary))
            read_structure(
                temporary
            )  # what did not reach the disk when the file was closed is told by nobody else
        except (RuntimeError, DataError) as error:
            raise OSError(
                f"FAISS could not write {temporary.stat().st_size} bytes in full: {error}"[:300]
            ) from error

    write_atomic(path, write)


def read_structure(path: Path) -> Any:
    """A FAISS index whose lists stay on disk, memory-mapped.

    Raises:
        DataError: missing, damaged, or no FAISS index.
    """
    faiss = library()
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except RuntimeError as error:
        got = str(error).rsplit("Error: ", 1)[-1]
        raise DataError("the index cannot be read", where=path, got=got, hint="Build it again.") from error


def read_facts(folder: Path) -> dict[str, Any]:
    """The contents of ``index.json``.

    Raises:
        DataError: missing, or no JSON object.
    """
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "Build one with 'replbench corpus'."
        raise DataError(
            "no index there", where=folder, got=f"{FACTS}: {error.strerror}", hint=hint
        ) from error
    except ValueError as error:
        raise DataError(
            "index.json is damaged", where=path, got=error, hint="Build the index again."
        ) from error
    if not isinstance(facts, dict):
        raise DataError("index.json is damaged", where=path, got=type(facts).__name__, want="an object")
    return facts
