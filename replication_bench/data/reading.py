"""Captioned images of any form as examples, each decoded once so that a broken one is known before a run.

In a folder of one's own everything must be in order. Sets that were collected from the web have gaps by nature: what
cannot be used of them is left out, counted and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from replication_bench.data.captions import FORMS, find_captions
from replication_bench.data.example import Example, Examples
from replication_bench.data.images import THREADS, file_sha256, list_images, read_image, verify_images
from replication_bench.data.others import others_in
from replication_bench.errors import ConfigError, DataError
from replication_bench.sources.opening import is_image_folder, open_source
from replication_bench.sources.source import Entry, Source, picture_of


class Read(NamedTuple):
    """Examples, and sentences that must stand beside numbers measured on them."""

    examples: Examples
    notes: tuple[str, ...]


def read_images(path: str, captions: str = "", prefix: str = "", stems: bool = False) -> Read:
    """Every captioned image that ``path`` names, in a stated order.

    Args:
        path: a folder, shards, parquet files, or a saved Hugging Face dataset.
        captions: the caption file of a folder, if not found by itself.
        prefix: put before an image's id.
        stems: whether the file stem is the caption of an image without one.

    Raises:
        ConfigError: a caption file for what has captions of its own.
        DataError: nothing there, no captions, a damaged file.
    """
    if is_image_folder(path):
        examples, others = read_folder(path, captions, prefix, stems), others_in(Path(path).expanduser())
        return Read(examples, (f"{others}.",) if others else ())
    if captions:
        want = "captions beside the images in their shard or table"
        raise ConfigError(
            "only a folder of images takes a caption file", where="captions", got=path, want=want
        )
    source = open_source(path)
    if damaged := [one for one in source.skipped if one.damaged]:
        hint = "Download or pack it again, or take it away."
        raise DataError(f"{damaged[0].id}: {damaged[0].reason}", where=path, hint=hint)
    return read_source(source, prefix, stems)


def read_source(source: Source, prefix: str, stems: bool) -> Read:
    """The captioned images of a source that can be decoded; DataError where there are none."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(partial(checked, prefix=prefix, stems=stems), source.entries))
    examples = [one for one in found if isinstance(one, Example)]
    reasons = [
        *(f"{one.id}: {one.reason}" for one in source.skipped),
        *(one for one in found if isinstance(one, str)),
    ]
    if not examples:
        got = f"{len(reasons)} left out, first {reasons[0]}" if reasons else None
        raise DataError("no captioned images", where=source.path, got=got)
    total = len(examples) + len(reasons)
    left_out = f"{len(reasons)} of {total} entries were left out, first: {reasons[0]}." if reasons else ""
    return Read(Examples(tuple(examples)), (*source.notes, *([left_out] if left_out else [])))


def checked(entry: Entry, prefix: str, stems: bool) -> Example | str:
    """The entry as an example, or why it cannot be one."""
    captions: Sequence[str] = entry.captions or ((Path(entry.id).stem,) if stems else ())
    if not captions:
        return f"{entry.id}: no caption"
    try:
        data = entry.read()
        picture_of(data, entry.id)
    except DataError as error:
        return f"{entry.id}: {error}".rstrip(".")
    return Example(prefix + entry.id, tuple(captions), entry.open, hashlib.sha256(data).hexdigest())


def read_folder(path: str, given: str, prefix: str, stems: bool) -> Examples:
    """Every image below ``path`` with its captions, in natural order; all files are decoded once.

    Args:
        path: the folder.
        given: its caption file, if not found by itself.
        prefix: put before the relative path to make the id.
        stems: whether the file stem is the caption of an image without one.

    Raises:
        DataError: an empty or missing folder, missing captions, a broken image.
    """
    folder = Path(path).expanduser()
    images = {file.relative_to(folder).as_posix(): file for file in list_images(folder)}
    captions = find_captions(folder, list(images), given)
    if stems:
        captions = {name: captions.get(name) or (file.stem,) for name, file in images.items()}
    if bare := [name for name in images if not captions.get(name)]:
        got = f"{len(bare)} of {len(images)}, first {bare[0]}"
        raise DataError("images without captions", where=folder, got=got, want=FORMS)
    verify_images(list(images.values()))
    return Examples(
        tuple(
            Example(prefix + name, captions[name], partial(read_image, file), file_sha256(file))
            for name, file in images.items()
        )
    )
