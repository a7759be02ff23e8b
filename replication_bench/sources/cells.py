"""What a cell of a table holds: an image, or captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replication_bench.errors import DataError

CAPTIONS = ("caption", "text", "prompt", "TEXT", "captions", "txt")


def as_texts(value: Any) -> tuple[str, ...]:
    """One caption or a list of them, without the empty ones."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(text.strip() for text in values if isinstance(text, str) and text.strip())


def cell_bytes(value: Any, folder: Path, where: str) -> bytes:
    """The bytes of an image: themselves, or as Hugging Face keeps them, ``{"bytes": ..., "path": ...}``.

    Raises:
        DataError: the cell is empty, or names a file that cannot be read.
    """
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if data is None and path:
            try:
                return (folder / path).read_bytes()
            except OSError as error:
                raise DataError(
                    "the image cannot be read", where=where, got=f"{path}: {error.strerror}"
                ) from error
        value = data
    if not isinstance(value, bytes) or not value:
        raise DataError("no image", where=where, got="an empty cell")
    return value
