"""Tar shards of webdataset: files that share a name up to the first dot are one sample.

Captions are the sample's ``.txt``, else ``caption``, ``text`` or ``prompt`` of its ``.json``. Members are found once
and read where they lie, so that any image can be opened again without walking through its shard.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from replication_bench.data.images import is_image_name, natural_key
from replication_bench.data.others import kind_of, told
from replication_bench.data.webdataset import caption_of, check_end, open_tar, split_name
from replication_bench.errors import DataError
from replication_bench.sources.source import Entry, Skipped, Source, unique_ids

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_tar_name(path: Path) -> bool:
    """Whether a file is named like a tar shard."""
    return path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")


@dataclass
class Members:
    """The files of one shard, and why there are no more of them; empty where it is whole."""

    found: list[tarfile.TarInfo]
    cut: str = ""


def list_members(path: Path) -> Members:
    """Every regular file of a shard that is there in full.

    Raises:
        DataError: see ``open_tar``.
    """
    members = Members([])
    with open_tar(path) as archive:
        try:
            members.found.extend(member for member in archive if member.isfile())
            check_end(archive)
        # a damaged shard can fail in tarfile and in the decompressor below it: what came before is whole
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            members.cut = str(error) or type(error).__name__
    if path.suffix == ".tar":
        drop_unfinished(path, members)
    return members


def drop_unfinished(path: Path, members: Members) -> None:
    """Take out the last member where the file ends within it."""
    end = path.stat().st_size
    whole = [member for member in members.found if member.offset_data + member.size <= end]
    if len(whole) < len(members.found):
        members.found, members.cut = whole, members.cut or "the file ends within a member"


class Shard:
    """Reads members: in place where the shard is not compressed, else through one open archive."""

    def __init__(self, path: Path):
        self.path, self.lock = path, Lock()
        self.archive: tarfile.TarFile | None = None

    def read(self, member: tarfile.TarInfo) -> bytes:
        """The bytes of a member.

        Raises:
            DataError: the shard was moved or damaged meanwhile.
        """
        where = f"{self.path}: {member.name}"
        try:
            data = self.in_place(member) if self.path.suffix == ".tar" else self.through(member)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise DataError("the image cannot be read", where=where, got=error) from error
        if len(data) != member.size:
            raise DataError(
                "the image cannot be read", where=where, got=f"{len(data)} of {member.size} bytes"
            )
        return data

    def in_place(self, member: tarfile.TarInfo) -> bytes:
        """From a file that is opened for this member alone, so that threads do not meet."""
        with self.path.open("rb") as file:
            file.seek(member.offset_data)
            return file.read(member.size)

    def through(self, member: tarfile.TarInfo) -> bytes:
        """From the one archive, one thread at a time; in order of members nothing is decompressed twice."""
        with self.lock:
            self.archive = self.archive or tarfile.open(self.path, "r:*")  # noqa: SIM115 - kept open
            file = self.archive.extractfile(member)
            return file.read() if file else b""


def shard_captions(shard: Shard, members: Sequence[tarfile.TarInfo]) -> dict[str, str]:
    """Captions by sample; a ``.txt`` goes before a ``.json``."""
    captions: dict[str, str] = {}
    for ending in (".txt", ".json"):
        for member in members:
            key = split_name(member.name)[0]
            if member.name.endswith(ending) and not captions.get(key):
                text = shard.read(member).decode("utf-8", errors="replace")
                captions[key] = caption_of(ending[1:], text)
    return captions


def shard_entries(shard: Shard, name: str, members: Sequence[tarfile.TarInfo]) -> Iterator[Entry]:
    """The images of one shard; a name that a shard holds twice gets a number."""
    captions = shard_captions(shard, members)
    images = [member for member in members if is_image_name(Path(member.name))]
    for member, id in zip(images, unique_ids([member.name for member in images]), strict=True):
        caption = captions.get(split_name(member.name)[0])
        yield Entry(f"{name}/{id}", partial(shard.read, member), (caption,) if caption else ())


def without_image(name: str, members: Sequence[tarfile.TarInfo]) -> list[Skipped]:
    """The samples of a shard that have a caption and no image."""
    keys: dict[str, bool] = {}
    for member in members:
        key, extension = split_name(member.name)
        if is_image_name(Path(member.name)) or extension in ("txt", "json"):
            keys[key] = keys.get(key, False) or is_image_name(Path(member.name))
    return [Skipped(f"{name}/{key}", "a caption and no image") for key, image in keys.items() if not image]


class ShardParts(NamedTuple):
    """The images of one shard, what was left out, and the kinds of its unread files (see ``kind_of``)."""

    entries: list[Entry]
    skipped: list[Skipped]
    kinds: list[str | None]


def shard_parts(file: Path, name: str) -> ShardParts:
    """What one shard gives; one that gives nothing is told among what was left out."""
    members = list_members(file)
    entries = list(shard_entries(Shard(file), name, members.found))
    skipped = without_image(name, members.found)
    if members.cut:
        reason = f"the tar file is damaged after {len(entries)} images: {members.cut}"
        skipped.append(Skipped(name, reason, damaged=True))
    elif not entries and not skipped:
        skipped.append(Skipped(name, f"no image among {len(members.found)} files"))
    return ShardParts(entries, skipped, [kind_of(Path(member.name)) for member in members.found])


def open_shards(path: str, files: Sequence[Path]) -> Source:
    """Tar files as one source, in natural order; ids are ``<shard>/<member>``.

    Raises:
        DataError: a shard that is no tar file, or no image in any.
    """
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    kinds: list[str | None] = []
    unique = len({file.name for file in files}) == len(files)
    for file in sorted(files, key=lambda file: natural_key(file.as_posix())):
        found = shard_parts(file, file.name if unique else file.as_posix())
        entries += found.entries
        skipped += found.skipped
        kinds += found.kinds
    if not entries:
        first = skipped[0]
        raise DataError(
            "the shards hold no images",
            where=path,
            got=f"{len(skipped)} left out, first {first.id}: {first.reason}",
            want="images such as .jpg or .png",
            hint="Download or pack them again.",
        )
    others = told(kinds)
    return Source(path, "webdataset", tuple(entries), tuple(skipped), (others,) if others else ())
