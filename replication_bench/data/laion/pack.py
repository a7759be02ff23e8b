"""What arrived -> tar shards of webdataset, the same bytes on every machine; and back, verified by hash."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from replication_bench.data.laion.download import Fetched
from replication_bench.data.laion.judge import Arrived, Limits, judge
from replication_bench.data.laion.manifest import Row
from replication_bench.errors import DataError
from replication_bench.sources.shards import Shard, list_members
from replication_bench.store import write_atomic

SHARD = 1000
FOLDER = "shards"
CHANGED = "the content is no longer that of the manifest"


def shard_path(folder: Path, number: int) -> Path:
    """The shard of the rows from ``number`` times ``SHARD`` on."""
    return folder / FOLDER / f"{number:05d}.tar"


def shards_of(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows shard by shard, by their ids."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(int(row.id) // SHARD, []).append(row)
    return [groups[number] for number in sorted(groups)]


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    """The files of a shard that are there in full, by name; none where there is no shard."""
    try:
        return {member.name: member for member in list_members(path).found} if path.exists() else {}
    except DataError:
        return {}


def stored(folder: Path, rows: Sequence[Row], advance: Callable[[int], None]) -> dict[str, Fetched]:
    """The images that lie in ``folder`` with the hashes that ``rows`` name, by id; all their bytes are read."""
    found: dict[str, Fetched] = {}
    done = 0
    for group in shards_of(rows):
        path = shard_path(folder, int(group[0].id) // SHARD)
        names, shard = members(path), Shard(path)
        for row in group:
            done += 1
            advance(done)
            if row.sha256 and row.member in names:
                read = partial(shard.read, names[row.member])
                if hashlib.sha256(read()).hexdigest() == row.sha256:
                    found[row.id] = Fetched(read)
    return found


def judged(row: Row, outcome: Fetched, limits: Limits) -> tuple[Row, bytes]:
    """The row with what is known of its image, and that image; no bytes where it is dead or missing."""
    if outcome.read is None:
        return without(row, outcome.reason), b""
    data = outcome.read()
    arrived = judge(data, limits)
    if isinstance(arrived, str):
        return without(row, arrived), b""
    if row.sha256 and arrived.sha256 != row.sha256:
        return without(row, CHANGED), b""
    return replace(row, **asdict(arrived), reason=""), data


def without(row: Row, reason: str) -> Row:
    """The row without its image: what a manifest says of one that arrived once stays, so that it can be mended."""
    if row.sha256:
        return replace(row, reason=reason)
    return replace(row, **asdict(Arrived("", 0, 0, 0, "")), split="", reason=reason)


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """One file without owner and time."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def sample(row: Row, data: bytes) -> dict[str, bytes]:
    """The files of one sample."""
    facts = {
        key: value for key, value in asdict(row).items() if key not in ("reason", "split", "extension", "id")
    }
    text = json.dumps({"key": row.id, **facts}, ensure_ascii=False)
    return {row.member: data, f"{row.id}.txt": row.caption.encode(), f"{row.id}.json": text.encode()}


def pack(
    rows: Sequence[Row],
    outcomes: Mapping[str, Fetched],
    folder: Path,
    limits: Limits,
    advance: Callable[[int], None],
) -> list[Row]:
    """Write the shards and return the rows with what became of them.

    Args:
        rows: in the order of their ids; those that are dead stay so, unless ``outcomes`` has them.
        outcomes: what came of each of the others, by id.
        folder: of the subset.
        limits: of the images.
        advance: told how many rows are done.

    Raises:
        StoreError: a shard cannot be written in full.
    """
    done: list[Row] = []
    for group in shards_of(rows):
        path = shard_path(folder, int(group[0].id) // SHARD)
        kept: list[Row] = []
        write_atomic(path, partial(fill, group=group, kept=kept, outcomes=outcomes, limits=limits))
        if not any(row.present for row in kept):
            path.unlink()
        done += kept
        advance(len(done))
    return done


def fill(
    path: Path, group: Sequence[Row], kept: list[Row], outcomes: Mapping[str, Fetched], limits: Limits
) -> None:
    """Write one shard, and append its rows to ``kept`` with what became of them."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for row in group:
            known, data = judged(row, outcomes[row.id], limits) if row.id in outcomes else (row, b"")
            kept.append(known)
            for name, content in sample(known, data).items() if data else ():
                add(archive, name, content)
