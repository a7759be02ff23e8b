"""The conventions of webdataset and img2dataset that every reader of them shares."""

from __future__ import annotations

import json
import tarfile
from pathlib import PurePosixPath
from typing import Any

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


def check_end(archive: tarfile.TarFile) -> None:
    """Refuse a tar without its end mark: the library takes one that was cut between two members for a whole one."""
    assert archive.fileobj is not None, "it is open"
    archive.fileobj.seek(archive.offset)  # type: ignore[attr-defined]  # where the mark, a block of zeros, must be
    if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise EOFError("cut short: the end mark is missing")
