"""One shard of images -> one shard of vectors: ``vectors.npy``, ``ids.parquet``, and ``shard.json`` last."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from replication_bench.corpus.tar import Member, read_shard
from replication_bench.embedders.norms import with_norms
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import DataError
from replication_bench.search.files import write_rows
from replication_bench.sources.source import picture_of
from replication_bench.store import write_atomic, write_json

FORMAT = 1
BATCH = 64
COLUMNS = ("id", "shard", "key", "sha256", "caption", "url")
NORM = "norm"  # length of a vector as the network gave it: stored vectors have length 1


@dataclass
class Collected:
    """What has been read of a shard so far."""

    ids: list[dict[str, Any]] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)


def decoded(member: Member) -> Image.Image | str:
    """The image of a sample, RGB, or why there is none; what an audit refuses is refused here too."""
    if member.image is None:
        return "no image"
    try:
        return picture_of(member.image, "sample")[0]
    except DataError as error:
        cause = error.__cause__
        if cause is None:
            return str(error)
        # Pillow's own line names an object in memory
        unknown = isinstance(cause, UnidentifiedImageError)
        return "no known image format" if unknown else f"{type(cause).__name__}: {cause}"


def identity(path: Path) -> dict[str, int]:
    """What tells without reading that a file is unchanged: its size and time, as for make."""
    status = path.stat()
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def batches(members: Iterator[Member]) -> Iterator[list[Member]]:
    """At most ``BATCH`` samples at a time."""
    while chunk := list(islice(members, BATCH)):
        yield chunk


def collect(shard: Path, embedder: Embedder) -> Collected:
    """Embed every image of a shard; a sample without a readable image is listed and left out.

    Raises:
        DataError: see ``read_shard``.
    """
    done = Collected()
    for chunk in batches(read_shard(shard)):
        images = []
        for member in chunk:
            image = decoded(member)
            if isinstance(image, str):
                done.skipped.append({"key": member.key, "reason": image})
                continue
            images.append(image)
            done.ids.append(row_of(shard, member))
        if images:
            vectors, norms = with_norms(embedder, images)
            done.vectors.append(vectors)
            done.norms += norms
    return done


def row_of(shard: Path, member: Member) -> dict[str, str]:
    """The row of ``ids.parquet``: the id is the shard's name and the key."""
    assert member.image is not None, "only decoded images get a row"
    values = (
        f"{shard.stem}/{member.key}",
        shard.stem,
        member.key,
        hashlib.sha256(member.image).hexdigest(),
        member.caption,
        member.url,
    )
    return dict(zip(COLUMNS, values, strict=True))


def embed_shard(shard: Path, embedder: Embedder, out: Path, dtype: str = "float16") -> Path:
    """Embed one shard into the folder ``out/<its name>``; the folder is complete once ``shard.json`` is there.

    Args:
        shard: a tar in the form of webdataset.
        embedder: images to unit vectors.
        out: the folder of all shards.
        dtype: how vectors are stored, ``float16`` or ``float32``.

    Returns:
        The shard's folder.

    Raises:
        DataError: the tar cannot be read.
        StoreError: the folder cannot be written, or the disk is full.
    """
    start = time.monotonic()
    before = identity(shard) if shard.exists() else {}
    folder = out / shard.stem
    (folder / "shard.json").unlink(missing_ok=True)
    done = collect(shard, embedder)
    vectors = np.concatenate(done.vectors) if done.vectors else np.zeros((0, embedder.dim), np.float32)
    write_rows(folder / "vectors.npy", vectors, dtype)
    table = pd.DataFrame(done.ids, columns=list(COLUMNS)).astype("string")
    table[NORM] = np.array(done.norms, np.float64)
    write_atomic(folder / "ids.parquet", lambda path: table.to_parquet(path, index=False))
    facts = {
        "format": FORMAT,
        "shard": shard.stem,
        "source": before,
        "rows": len(vectors),
        "dim": embedder.dim,
        "dtype": dtype,
        "protocol": {**asdict(embedder.protocol), "hash": embedder.protocol.hash},
        "skipped": done.skipped,
        "seconds": round(time.monotonic() - start, 3),
    }
    write_json(folder / "shard.json", facts)
    return folder


def read_shard_facts(folder: Path) -> dict[str, Any] | None:
    """``shard.json`` of a finished shard; None where it is missing or damaged."""
    try:
        facts = json.loads((folder / "shard.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else None


def finished(shard: Path, out: Path, protocol: str, dtype: str) -> bool:
    """Whether ``out`` holds the vectors of this shard, unchanged since, under this protocol and number format."""
    facts = read_shard_facts(out / shard.stem)
    return (
        facts is not None
        and facts["source"] == identity(shard)
        and facts["protocol"]["hash"] == protocol
        and facts["dtype"] == dtype
        and (out / shard.stem / "vectors.npy").exists()
    )
