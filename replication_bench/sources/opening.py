"""From what was typed to a source: a folder, a run of DCR, tar shards, parquet files, a saved Hugging Face dataset."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

from braceexpand import braceexpand

from replication_bench.data.images import is_image_name
from replication_bench.data.others import is_hidden
from replication_bench.errors import DataError
from replication_bench.sources.folders import open_folder, read_prompts
from replication_bench.sources.huggingface import is_saved, open_saved
from replication_bench.sources.shards import is_tar_name, open_shards
from replication_bench.sources.source import Source
from replication_bench.sources.tables import open_table

WANT = (
    "a folder of images, tar shards or parquet files (a file, a folder, a pattern), a dataset that Hugging Face saved, "
    "or a saved index"
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


def holds_images(folder: Path) -> bool:
    """Whether there are image files below a folder."""
    return any(is_image_name(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def holds_shards(folder: Path) -> list[Path]:
    """The tar files of a folder that holds no images of its own; empty where it does."""
    if holds_images(folder):
        return []
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if is_tar_name(file.relative_to(folder))]


def holds_tables(folder: Path) -> list[Path]:
    """The parquet files of a folder that holds neither images nor shards."""
    return sorted(file for file in folder.rglob("*.parquet") if not is_hidden(file.relative_to(folder)))


def is_image_folder(path: str) -> bool:
    """Whether ``path`` is, or should be, a folder of image files."""
    place = Path(path).expanduser()
    if not place.is_dir():
        return not place.exists() and not is_pattern(path)
    return not (is_saved(place) or holds_shards(place)) and (holds_images(place) or not holds_tables(place))


def open_source(path: str, prompts: Path | None = None) -> Source:
    """The source that ``path`` names, every image listed and none read.

    Args:
        path: what was typed.
        prompts: for generated images: one prompt a line in the order of the images, or captions by file name.

    Raises:
        DataError: nothing of a known kind, no images, or prompts that do not fit.
    """
    place = Path(path).expanduser()
    if is_image_folder(path) and place.exists():
        return open_folder(path, prompts)
    return with_prompts(open_other(path, place), prompts)


def open_other(path: str, place: Path) -> Source:
    """As ``open_source`` for all but folders of images."""
    if place.is_dir():
        if is_saved(place):
            return open_saved(path)
        shards = holds_shards(place)
        return open_shards(path, shards) if shards else open_table(path, holds_tables(place))
    if not is_pattern(path):
        return open_files(path, [place])
    return open_files(path, expand(path))


def open_files(path: str, files: list[Path]) -> Source:
    """Shards or parquet files; DataError for others."""
    if all(file.is_file() and is_tar_name(file) for file in files):
        return open_shards(path, files)
    if all(file.is_file() and file.suffix == ".parquet" for file in files):
        return open_table(path, files)
    strange = next(file for file in files if not (file.is_file() and is_tar_name(file)))
    got = f"a file {strange.name}" if strange.exists() else "nothing"
    raise DataError("no images there", where=path, got=got, want=WANT)


def with_prompts(source: Source, prompts: Path | None) -> Source:
    """The same images with the prompts of a file instead of their own captions."""
    if prompts is None:
        return source
    names = [entry.id for entry in source.entries]
    found = read_prompts(prompts, Path(source.path).parent, names)
    entries = (replace(entry, captions=found.get(entry.id, ())) for entry in source.entries)
    return replace(source, entries=tuple(entries))
