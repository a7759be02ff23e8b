"""A parquet file of paths, with captions where it has a column of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.errors import DataError
from replication_bench.sources.source import Entry, Source, reading, unique_ids

PATHS = ("path", "image_path", "file_name", "filename", "filepath", "file", "image")
CAPTIONS = ("caption", "text", "prompt", "TEXT", "captions")


def text_columns(schema: pa.Schema) -> list[str]:
    """Names of the columns that hold text."""
    return [
        field.name
        for field in schema
        if pa.types.is_string(field.type)
        or pa.types.is_large_string(field.type)
        or (pa.types.is_dictionary(field.type) and pa.types.is_string(field.type.value_type))
    ]


def read_columns(path: Path) -> tuple[list[str], list[str | None]]:
    """The paths and captions.

    Raises:
        DataError: no parquet file, or no column of paths; then its columns are listed.
    """
    try:
        schema = pq.read_schema(path)
        known = text_columns(schema)
        column = next((name for name in PATHS if name in known), None)
        if column is None:
            want = f"a text column called one of {', '.join(PATHS)}"
            got = f"columns {', '.join(schema.names) or 'none'}"
            raise DataError("the parquet file has no column of paths", where=path, got=got, want=want)
        caption = next((name for name in CAPTIONS if name in known), None)
        table = pq.read_table(path, columns=[column, *([caption] if caption else [])])
    except (OSError, pa.ArrowException) as error:
        raise DataError("the parquet file cannot be read", where=path, got=error) from error
    paths = table[column].to_pylist()
    return paths, table[caption].to_pylist() if caption else [None] * len(paths)


def open_table(path: str) -> Source:
    """A parquet file as a source, in its own order; relative paths start at the file's folder.

    Raises:
        DataError: see ``read_columns``; or no row.
    """
    file = Path(path).expanduser()
    paths, captions = read_columns(file)
    if not all(isinstance(text, str) and text for text in paths):
        row = next(i for i, text in enumerate(paths) if not text)
        raise DataError("a row without a path", where=file, got=f"row {row}")
    if not paths:
        raise DataError("the parquet file holds no row", where=file)
    entries = (
        Entry(id, reading(file.parent / text), (caption,) if caption else ())
        for id, text, caption in zip(unique_ids(paths), paths, captions, strict=True)
    )
    return Source(path, "parquet", tuple(entries))
