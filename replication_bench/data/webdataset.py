"""The convention of webdataset that every reader of its shards shares."""

from __future__ import annotations

from pathlib import PurePosixPath


def split_name(name: str) -> tuple[str, str]:
    """Key and extension of a member: the name is split at its first dot."""
    path = PurePosixPath(name)
    stem, _, extension = path.name.partition(".")
    return (path.parent / stem).as_posix(), extension.lower()
