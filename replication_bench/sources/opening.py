"""From what was typed to a source: a folder, a run of DCR, tar shards, a parquet file, a pattern of names."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

from braceexpand import braceexpand

from replication_bench.data.images import is_image_name
from replication_bench.errors import DataError
from replication_bench.sources.folders import open_folder, read_prompts
from replication_bench.sources.shards import is_tar_name, open_shards
from replication_bench.sources.source import Source
from replication_bench.sources.tables import open_table

WANT = (
    "a folder of images, tar shards (a file, a folder, a pattern), a parquet file of paths, or a saved index"
)


def is_pattern(path: str) -> bool:
    """Whether ``path`` names several files and no single one."""
    return any(c in path for c in "*?[{") and not Path(path).expanduser().exists()


def expand(path: str) -> list[Path]:
    """The files that a pattern with braces or wildcards names.

    Raises:
        DataError: it names none, or a part of it names none.
    """
    try:
        patterns = list(braceexpand(str(Path(path).expanduser())))
    except ValueError as error:
        raise DataError("a pattern with unequal braces", where=path, got=error) from error
    found: dict[Path, None] = {}
    for pattern in patterns:
        files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
        if not files:
            raise DataError("the pattern names nothing", where=path, got=f"no file {pattern}", want=WANT)
        found |= dict.fromkeys(files)
    return list(found)


def holds_shards(folder: Path) -> list[Path]:
    """The tar files of a folder that holds no images of its own; empty where it does."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    if any(is_image_name(file.relative_to(folder)) for file in files):
        return []
    return [file for file in files if is_tar_name(file.relative_to(folder))]


def open_source(path: str, prompts: Path | None = None) -> Source:
    """The source that ``path`` names, every image listed and none read.

    Args:
        path: what was typed.
        prompts: for generated images: one prompt a line in the order of the images, or captions by file name.

    Raises:
        DataError: nothing of a known kind, no images, or prompts that do not fit.
    """
    place = Path(path).expanduser()
    if place.is_dir() and not (shards := holds_shards(place)):
        return open_folder(path, prompts)
    return with_prompts(open_other(path, place, shards if place.is_dir() else []), prompts)


def open_other(path: str, place: Path, shards: list[Path]) -> Source:
    """As ``open_source`` for all but folders of images."""
    if shards:
        return open_shards(path, shards)
    if place.is_file() and is_tar_name(place):
        return open_shards(path, [place])
    if place.is_file() and place.suffix == ".parquet":
        return open_table(path)
    if is_pattern(path):
        files = expand(path)
        if strange := [file for file in files if not is_tar_name(file)]:
            raise DataError("a pattern must name tar shards", where=path, got=strange[0], want=WANT)
        return open_shards(path, files)
    raise DataError("no images there", where=path, got="a file" if place.exists() else "nothing", want=WANT)


def with_prompts(source: Source, prompts: Path | None) -> Source:
    """The same images with the prompts of a file instead of their own captions."""
    if prompts is None:
        return source
    names = [entry.id for entry in source.entries]
    found = read_prompts(prompts, Path(source.path).parent, names)
    entries = (replace(entry, captions=found.get(entry.id, ())) for entry in source.entries)
    return replace(source, entries=tuple(entries))
