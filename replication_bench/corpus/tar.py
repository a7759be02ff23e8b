"""Shards in the form of webdataset: tar files whose members share a key and differ in their extension.

Read with the standard library: one pass, one sample in memory, and a tar that is cut short is told as such.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from replication_bench.data.images import EXTENSIONS, natural_key
from replication_bench.data.webdataset import caption_of, check_end, open_tar, split_name, unreadable
from replication_bench.errors import DataError
from replication_bench.sources.source import readable


@dataclass
class Member:
    """The files of one key.

    Attributes:
        key: path and name up to the first dot of the name, as webdataset splits it.
        image: bytes of the image; None where the key has none.
        caption: of the ``.txt`` member, else of the ``.json`` (see ``caption_of``); empty where there is none.
        url: ``url`` of the ``.json`` member; empty where there is none.
    """

    key: str
    image: bytes | None = None
    caption: str = ""
    url: str = ""

    def take(self, extension: str, content: bytes) -> None:
        """Keep what is known of one file; others (features, masks) are left."""
        if f".{extension.rpartition('.')[2]}" in EXTENSIONS:
            self.image = content
        elif extension == "txt":
            self.caption = caption_of(extension, content.decode("utf-8", "replace"))
        elif extension == "json":
            facts = parsed(content)
            self.url = str(facts.get("url") or "")
            self.caption = self.caption or caption_of(extension, content.decode("utf-8", "replace"))


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object; an empty one where the bytes are something else, since nothing depends on it."""
    try:
        facts = json.loads(content)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def files(shard: Path) -> Iterator[tuple[str, str, bytes]]:
    """Key, extension and content of every file in a tar.

    Raises:
        DataError: missing, no tar, or cut short.
    """
    try:
        with open_tar(shard) as archive:
            for entry in archive:
                if entry.isfile() and not PurePosixPath(entry.name).name.startswith("."):
                    handle = archive.extractfile(entry)
                    assert handle is not None, "a file has content"
                    yield *split_name(readable(entry.name)), handle.read()
            check_end(archive)
    except (OSError, EOFError, tarfile.TarError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise unreadable(shard, got) from error


def read_shard(shard: Path) -> Iterator[Member]:
    """The samples of a shard in the order of their keys' first files; members of one key stand together.

    Raises:
        DataError: see ``files``; a key that comes again after others.
    """
    current: Member | None = None
    seen: set[str] = set()
    for key, extension, content in files(shard):
        if current is None or key != current.key:
            if key in seen:
                hint = "Sort its members by name."
                raise DataError("a key is scattered over the shard", where=shard, got=key, hint=hint)
            if current is not None:
                yield current
            current = Member(key)
            seen.add(key)
        current.take(extension, content)
    if current is not None:
        yield current


def tars_in(source: Path) -> list[Path]:
    """A tar itself, or the tars in a folder; DataError where there is none."""
    if source.is_dir():
        found = list(source.glob("*.tar"))
        if not found:
            hint = "Folders in it are not looked through; 'replbench index FOLDER' alone takes pictures."
            raise DataError(
                "the folder holds no shards", where=source, want="files ending in .tar", hint=hint
            )
        return found
    if not source.exists():
        raise DataError("no such shard", where=source, want="a .tar file or a folder of them")
    if source.suffix != ".tar":
        raise DataError("not a shard", where=source, want="a .tar file or a folder of them")
    return [source]


def find_shards(sources: Sequence[str | Path]) -> list[Path]:
    """Every shard named, folders opened, in natural order of their names; the order of rows in the index.

    Raises:
        DataError: nothing there, or two shards of one name: ids begin with the shard's name.
    """
    found = {path.resolve() for source in sources for path in tars_in(Path(source))}
    shards = sorted(found, key=lambda path: (natural_key(path.stem), path))
    for first, second in pairwise(shards):
        if first.stem == second.stem:
            raise DataError(
                "two shards have one name",
                got=f"{first} and {second}",
                want="unlike names",
                hint="Ids of images begin with them: rename one.",
            )
    return shards
