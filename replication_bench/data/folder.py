"""Dataset ``folder``: the user's own images with captions, part of them held out with all their near-duplicates.

Captions come from the first of these that is there: the file given as ``captions``; ``metadata.jsonl`` or
``metadata.csv`` of Hugging Face's ImageFolder (``file_name`` relative to that file, and ``text``, ``caption`` or
``prompt``); a ``<name>.txt`` beside each image, first line; the only JSON file in the folder, in the layout of DCR
(Somepalli et al., arXiv 2305.20086): ``{image: [captions]}``.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from replication_bench.data.example import Embed, Example, Examples, Splits
from replication_bench.data.images import (
    choose_groups,
    duplicate_groups,
    file_sha256,
    is_hidden,
    list_images,
    read_image,
    verify_images,
)
from replication_bench.errors import ConfigError, DataError

HELDOUT = "heldout/"
COLUMNS = ("text", "caption", "prompt")
FORMS = "metadata.jsonl or .csv (file_name, text), <name>.txt beside each, or one .json {image: [captions]}"

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
        raise DataError("a caption that is no text", where=where, got=repr(value), want="strings")
    return [text.strip() for text in texts if text.strip()]


def metadata_rows(path: Path) -> Iterator[Any]:
    """The rows of a ``.csv`` or ``.jsonl`` file; DataError if it has another form."""
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


def assign(entries: Iterable[Entry], match: Match, source: Path) -> Captions:
    """Captions by image; one that is named twice keeps all its captions.

    Raises:
        DataError: entries name images that are not there, or one fits several images.
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
    if missing:
        got = f"{len(missing)} missing, first {missing[0]}"
        raise DataError("the caption file names images that are not there", where=source, got=got)
    return {name: tuple(texts) for name, texts in captions.items()}


def captions_in_file(path: Path, folder: Path, names: Sequence[str]) -> Captions:
    """The captions in one file; names in metadata outside ``folder`` are relative to ``folder``.

    Raises:
        DataError: another kind of file; see also ``assign``.
    """
    if path.suffix == ".json":
        return assign(json_entries(path), loose_match(names), path)
    if path.suffix not in (".jsonl", ".csv"):
        raise DataError("an unknown kind of caption file", where=path, want=".json, .jsonl or .csv")
    parent, top = path.resolve().parent, folder.resolve()
    base = parent.relative_to(top).as_posix() if parent.is_relative_to(top) else ""
    return assign(metadata_entries(path, base), exact_match(names), path)


def metadata_files(folder: Path) -> list[Path]:
    """Every ``metadata.jsonl`` below ``folder``, or else every ``metadata.csv``; hidden folders left out."""
    for name in ("metadata.jsonl", "metadata.csv"):
        if found := sorted(path for path in folder.rglob(name) if not is_hidden(path.relative_to(folder))):
            return found
    return []


def captions_beside(folder: Path, names: Sequence[str]) -> Captions:
    """The first lines of the ``.txt`` files that share an image's stem."""
    texts = {name: (folder / name).with_suffix(".txt") for name in names}
    lines = {
        name: read_text(path).partition("\n")[0].strip() for name, path in texts.items() if path.is_file()
    }
    return {name: (line,) for name, line in lines.items() if line}


def find_captions(folder: Path, names: Sequence[str], given: str = "") -> Captions:
    """Captions by image, from the first source of the module's list that is there."""
    if given:
        return captions_in_file(Path(given).expanduser(), folder, names)
    if files := metadata_files(folder):
        found = (captions_in_file(path, folder, names).items() for path in files)
        return dict(chain.from_iterable(found))
    if beside := captions_beside(folder, names):
        return beside
    only = sorted(folder.glob("*.json"))
    return captions_in_file(only[0], folder, names) if len(only) == 1 else {}


def read_folder(path: str, given: str = "", prefix: str = "", stems: bool = False) -> Examples:
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


def refuse_shared(train: Examples, heldout: Examples, where: str) -> None:
    """DataError if ``heldout`` holds a file of ``train``."""
    known = {example.sha256: example.id for example in train}
    if shared := [example for example in heldout if example.sha256 in known]:
        first = f"{shared[0].id.removeprefix(HELDOUT)} = {known[shared[0].sha256]}"
        got = f"{len(shared)} shared, first {first}"
        raise DataError("held-out images that are training images", where=where, got=got, want="none shared")


@dataclass(frozen=True)
class Folder:
    """A folder of captioned images.

    Args:
        path: the folder, read with its subfolders.
        captions: its caption file, if it has another name or place than those that are found by themselves.
        heldout: a folder of held-out images; without it a share of ``path`` is held out by content.
        heldout_share: share of the groups of duplicates that is held out, in (0, 1).
        duplicate_threshold: similarity above which two images are one group, in [-1, 1].

    Raises:
        ConfigError: a share or threshold out of range.
    """

    path: str = ""
    captions: str = ""
    heldout: str = ""
    heldout_share: float = 0.2
    duplicate_threshold: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.heldout_share < 1:
            got = self.heldout_share
            raise ConfigError("no such share", where="heldout_share", got=got, want="between 0 and 1")
        if not -1 <= self.duplicate_threshold <= 1:
            got = self.duplicate_threshold
            raise ConfigError("no such similarity", where="duplicate_threshold", got=got, want="-1 to 1")

    def load(self, embed: Embed | None = None) -> Splits:
        """``train`` and ``heldout``; ids are relative paths, those of another folder begin with ``heldout/``.

        Raises:
            ConfigError: no path.
            DataError: images or captions that cannot be used; fewer than two training images.
        """
        if not self.path:
            hint = "Give --set dataset.options.path=DIR."
            raise ConfigError("the dataset folder needs a path", where="path", got="none", hint=hint)
        examples = read_folder(self.path, self.captions)
        splits = self.beside(examples) if self.heldout else self.within(examples, embed)
        if len(splits.train) < 2:
            got = f"{len(splits.train)} of {len(examples)} images, {len(splits.heldout)} held out"
            raise DataError("too few training images", where=self.path, got=got, want="two or more")
        return splits

    def beside(self, train: Examples) -> Splits:
        """Everything is for training and another folder is held out."""
        heldout = read_folder(self.heldout, prefix=HELDOUT, stems=True)
        refuse_shared(train, heldout, self.heldout)
        note = "folder: the floor is that of a given held-out folder; only exact copies of training images are out."
        return Splits(train, heldout, note=note)

    def within(self, examples: Examples, embed: Embed | None) -> Splits:
        """A share of the groups of duplicates is held out, chosen by content alone."""
        loaders = {example.sha256: example.load for example in examples}
        groups = duplicate_groups(loaders, embed, self.duplicate_threshold)
        chosen = choose_groups(groups, self.heldout_share)
        kind = f"similarity above {self.duplicate_threshold:g}" if embed else "equal bytes"
        return Splits(
            train=Examples(tuple(example for example in examples if example.sha256 not in chosen)),
            heldout=Examples(tuple(example for example in examples if example.sha256 in chosen)),
            note=f"folder: {self.heldout_share:.0%} held out by content, images of {kind} kept on one side.",
        )
