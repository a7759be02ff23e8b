"""The conventions of webdataset and img2dataset that every reader of them shares."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from replication_bench.errors import DataError

KEYS = ("caption", "text", "prompt", "TEXT")


def split_name(name: str) -> tuple[str, str]:
    """Key and extension of a member: the name is split at its first dot."""
    path = PurePosixPath(name)
    stem, _, extension = path.name.partition(".")
    return (path.parent / stem).as_posix(), extension.lower()


def caption_of(extension: str, text: str) -> str:
    """The caption in a ``txt`` (first line) or a ``json`` (one of ``KEYS``); empty where there is none."""
    if extension == "txt":
        return text.strip().partition("\n")[0].strip()
    try:
        table: Any = json.loads(text)
    except ValueError:
        return ""
    values = [table.get(key) for key in KEYS] if isinstance(table, dict) else []
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")


def unreadable(shard: Path, got: str) -> DataError:
    """The mistake of a shard that is not there as it was packed."""
    hint = "Download or pack it again."
    return DataError("the shard cannot be read", where=shard, got=got, hint=hint)


def open_tar(shard: Path) -> tarfile.TarFile:
    """A shard, compressed or not, open at its first member.

    Raises:
        DataError: it is missing, empty, or no tar; in a few words, where the library lists every way that it tried.
    """
    try:
        if shard.stat().st_size == 0:
            raise unreadable(shard, "an empty file")
        return tarfile.open(shard, "r:*")
    except (OSError, EOFError, tarfile.TarError) as error:
        system = error.strerror if isinstance(error, OSError) else None
        raise unreadable(shard, system or "a file that is no tar") from error


def check_end(archive: tarfile.TarFile) -> None:
    """Refuse a tar without its end mark: the library takes one that was cut between two members for a whole one."""
    assert archive.fileobj is not None, "it is open"
    archive.fileobj.seek(archive.offset)  # type: ignore[attr-defined]  # where the mark, a block of zeros, must be
    if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise EOFError("cut short: the end mark is missing")
