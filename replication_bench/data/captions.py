"""Captions of the images in a folder.

They come from the first of these that is there: the file that was given; ``metadata.jsonl``, ``.csv`` or ``.parquet``
of Hugging Face's ImageFolder (``file_name`` relative to that file, and ``text``, ``caption`` or ``prompt``); a
``<name>.txt`` beside each image, first line, or a ``<name>.json`` with a caption, as img2dataset writes them; the only
JSON file in the folder, or its only ``*combined_captions.json``, in the layout of DCR (Somepalli et al., arXiv
2305.20086): ``{image: [captions]}``.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import reprlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from replication_bench.data.others import is_hidden
from replication_bench.data.webdataset import caption_of
from replication_bench.errors import DataError

COLUMNS = ("text", "caption", "prompt")
COMBINED = "combined_captions.json"
FORMS = "metadata.jsonl, .csv or .parquet (file_name, text), <name>.txt beside each, or one .json {image: [captions]}"

Captions = dict[str, tuple[str, ...]]  # by relative path of the image
Entry = tuple[str, list[str]]  # an image as its caption file names it, and its captions
Match = Callable[[str], list[str]]  # that name -> relative paths of the images it fits


def read_text(path: Path) -> str:
    """A text file, with or without a byte-order mark; DataError if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the caption file cannot be read", where=path, got=error, want="UTF-8") from error


def parse_json(text: str, where: object) -> Any:
    """The value of a JSON text; DataError if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError("captions that are not JSON", where=where, got=error) from error


def as_captions(value: object, where: object) -> list[str]:
    """One caption or a list of them, without the empty ones; DataError for anything but text."""
    texts: list[Any] = value if isinstance(value, list) else [value or ""]
    if not all(isinstance(text, str) for text in texts):
        raise DataError("a caption that is no text", where=where, got=reprlib.repr(value), want="strings")
    return [text.strip() for text in texts if text.strip()]


def parquet_rows(path: Path) -> list[Any]:
    """The rows of a parquet file; DataError if it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_table(path).to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise DataError("captions that are not parquet", where=path, got=error) from error


def metadata_rows(path: Path) -> Iterator[Any]:
    """The rows of a ``.csv``, ``.jsonl`` or ``.parquet`` file; DataError if it has another form."""
    if path.suffix == ".parquet":
        yield from parquet_rows(path)
        return
    text = read_text(path)
    if path.suffix == ".csv":
        try:
            yield from csv.DictReader(io.StringIO(text, newline=""))
        except csv.Error as error:
            raise DataError("captions that are not CSV", where=path, got=error) from error
    else:
        # splitlines() would also split at separators that JSON allows inside strings
        lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        yield from (parse_json(line, f"{path} line {number}") for number, line in lines)


def metadata_entries(path: Path, base: str) -> Iterator[Entry]:
    """The entries of Hugging Face metadata whose file names are relative to ``base``.

    Raises:
        DataError: a row lacks ``file_name`` or all caption columns.
    """
    for number, row in enumerate(metadata_rows(path), 1):
        columns = row if isinstance(row, dict) else {}
        column = next((name for name in COLUMNS if name in columns), None)
        if column is None or not isinstance(columns.get("file_name"), str):
            got = f"columns {', '.join(map(str, columns)) or 'none'}"
            want = f"file_name and one of {', '.join(COLUMNS)}"
            raise DataError("no file name or no caption", where=f"{path} row {number}", got=got, want=want)
        image = posixpath.normpath(posixpath.join(base, columns["file_name"]))
        yield image, as_captions(columns[column], f"{path} row {number}")


def json_entries(path: Path) -> Iterator[Entry]:
    """The entries of a DCR caption file; DataError if it is no object of captions by image."""
    entries = parse_json(read_text(path), path)
    if not isinstance(entries, dict):
        got = f"a {type(entries).__name__}"
        raise DataError("not a caption file", where=path, got=got, want="{image: [captions]}")
    yield from ((image, as_captions(value, f"{path} key {image}")) for image, value in entries.items())


def exact_match(names: Sequence[str]) -> Match:
    """Finds an image by its relative path."""
    known = frozenset(names)
    return lambda image: [image] if image in known else []


def loose_match(names: Sequence[str]) -> Match:
    """Finds images by relative path, with or without leading folders, then by file name, then by stem."""
    known = frozenset(names)
    by_name, by_stem = defaultdict(list), defaultdict(list)
    for name in names:
        by_name[PurePosixPath(name).name].append(name)
        by_stem[PurePosixPath(name).stem].append(name)

    def match(image: str) -> list[str]:
        path = PurePosixPath(image)
        tails = ("/".join(path.parts[start:]) for start in range(len(path.parts)))
        exact = [tail for tail in tails if tail in known][:1]
        return exact or by_name.get(path.name) or by_stem.get(path.name) or by_stem.get(path.stem) or []

    return match


def assign(entries: Iterable[Entry], match: Match, source: Path, strict: bool = True) -> Captions:
    """Captions by image; one that is named twice keeps all its captions.

    Raises:
        DataError: entries name images that are not there (if ``strict``), or one fits several images.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    missing = []
    for image, texts in entries:
        found = match(image)
        if len(found) > 1:
            got = f"{found[0]} and {found[1]}"
            raise DataError(f"'{image}' fits several images", where=source, got=got, want="relative paths")
        for name in found:
            captions[name] += texts
        missing += [] if found else [image]
    if missing and (strict or not captions):
        got = f"{len(missing)} missing, first {missing[0]}"
        raise DataError("the caption file names images that are not there", where=source, got=got)
    return {name: tuple(texts) for name, texts in captions.items()}


def captions_in_file(path: Path, folder: Path, names: Sequence[str]) -> Captions:
    """The captions in one file; names in metadata outside ``folder`` are relative to ``folder``.

    A ``*combined_captions.json`` may name images that are not there: those whose links have died.

    Raises:
        DataError: another kind of file; see also ``assign``.
    """
    if path.suffix == ".json":
        return assign(json_entries(path), loose_match(names), path, strict=not path.name.endswith(COMBINED))
    if path.suffix not in (".jsonl", ".csv", ".parquet"):
        raise DataError("an unknown kind of caption file", where=path, want=".json, .jsonl, .csv or .parquet")
    parent, top = path.resolve().parent, folder.resolve()
    base = parent.relative_to(top).as_posix() if parent.is_relative_to(top) else ""
    return assign(metadata_entries(path, base), exact_match(names), path)


def metadata_files(folder: Path) -> list[Path]:
    """Every ``metadata.jsonl`` below ``folder``, or else ``.csv``, or else ``.parquet``; hidden folders left out."""
    for name in ("metadata.jsonl", "metadata.csv", "metadata.parquet"):
        if found := sorted(path for path in folder.rglob(name) if not is_hidden(path.relative_to(folder))):
            return found
    return []


def caption_beside(image: Path) -> str:
    """The caption in the ``.txt``, or else the ``.json``, that shares an image's stem; empty where there is none."""
    for path in (image.with_suffix(".txt"), image.with_suffix(".json")):
        if path.is_file() and (caption := caption_of(path.suffix[1:], read_text(path))):
            return caption
    return ""


def captions_beside(folder: Path, names: Sequence[str]) -> Captions:
    """The captions in the files that share an image's stem."""
    found = {name: caption_beside(folder / name) for name in names}
    return {name: (caption,) for name, caption in found.items() if caption}


def caption_files(folder: Path) -> list[Path]:
    """The JSON files of captions by image that can be meant."""
    found = sorted(folder.glob("*.json"))
    return found if len(found) == 1 else [path for path in found if path.name.endswith(COMBINED)]


def find_captions(folder: Path, names: Sequence[str], given: str = "") -> Captions:
    """Captions by image, from the first source of the module's list that is there."""
    if given:
        return captions_in_file(Path(given).expanduser(), folder, names)
    if files := metadata_files(folder):
        found = (captions_in_file(path, folder, names).items() for path in files)
        return dict(chain.from_iterable(found))
    if beside := captions_beside(folder, names):
        return beside
    only = caption_files(folder)
    return captions_in_file(only[0], folder, names) if len(only) == 1 else {}
