"""Caption files: JSON lines ``{"id": ..., "caption": ...}`` or ``{"id": ..., "captions": [...]}`` from any writer.

The shipped ones also say, by ``of``, a hash of the caption that they were made of: should a part before have changed
it, they are not for the changed one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

from baselines.text import pinned
from replication_bench.data.example import Example, Examples
from replication_bench.errors import ConfigError, DataError
from replication_bench.method import Method
from replication_bench.ranges import text

FORM = '{"id": ..., "caption": ...} or {"id": ..., "captions": [...]}'
HINT = "Write one with replbench generalise, or with any language model."
SETS = ("openmoji", "stamps")


class Row(NamedTuple):
    """The captions of one image, and ``digest`` of the caption that they were made of, where the file tells."""

    captions: tuple[str, ...]
    of: str = ""


Rows = dict[str, Row]


def digest(caption: str) -> str:
    """The head of the SHA-256 of a caption."""
    return hashlib.sha256(caption.encode()).hexdigest()[:8]


def entry(line: str, where: str) -> tuple[str, Row]:
    """The id and captions of a line.

    Raises:
        ConfigError: another form, or no caption.
    """
    try:
        row: Any = json.loads(line)
        given = row["captions"] if "captions" in row else [row["caption"]]
        captions = tuple(str.strip(caption) for caption in given if str.strip(caption))
        if captions and not isinstance(given, str):
            return str(row["id"]), Row(captions, str(row.get("of", "")))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError("not a line of captions", where=where, got=line[:60], want=FORM) from error
    raise ConfigError("not a line of captions", where=where, got=line[:60], want=FORM)


def parse(content: str, where: str) -> Rows:
    """Captions by id.

    Raises:
        ConfigError: an id twice; see also ``entry``.
    """
    found: Rows = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        id, row = entry(line, f"{where} line {number}")
        if id in found:
            raise ConfigError("an id stands twice", where=f"{where} line {number}", got=id)
        found[id] = row
    return found


@dataclass(frozen=True)
class Recaptioned(Method):
    """A method that takes captions from a file.

    Attributes:
        captions: JSON lines by id; empty for the captions that replbench ships, and for images of other sets, captions
            made of the dataset's own with WordNet.
        sha256: of that file; empty to take it as it is. Always set afterwards.

    Raises:
        ConfigError: the file is missing, has another form, or is not the one that ``sha256`` names.
    """

    shipped: ClassVar[str]
    captions: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        text("captions", self.captions)
        content = self.content
        object.__setattr__(self, "sha256", pinned.pin("captions", content, self.sha256))
        captions_in(content, self.captions or self.shipped)

    @property
    def content(self) -> str:
        """The file, or the shipped ones."""
        if self.captions:
            return pinned.read("captions", self.captions, HINT)
        return "".join(pinned.shipped(f"{self.shipped}-{name}.jsonl") for name in SETS)

    @property
    def given(self) -> Rows:
        """Captions by id."""
        return captions_in(self.content, self.captions or self.shipped)

    def recaption(self, data: Examples, make: Callable[[str], tuple[str, ...]]) -> Examples:
        """The examples with captions from the file or, where none was named, made of their first caption.

        Raises:
            DataError: the file lacks images, or what ``make`` needs is not installed.
        """
        given = self.given
        missing = [example.id for example in data if example.id not in given]
        if missing and self.captions:
            got = f"{len(missing)} of {len(data)} images without one, first '{missing[0]}'"
            raise DataError("the captions are of other images", where=self.captions, got=got, want="every id")

        def of(example: Example) -> tuple[str, ...]:
            row = given.get(example.id)
            if row and (self.captions or row.of in ("", digest(example.captions[0]))):
                return row.captions
            return make(example.captions[0])

        return Examples(tuple(example.with_captions(of(example)) for example in data))


@cache
def captions_in(content: str, where: str) -> Rows:
    """``parse``, once for each content."""
    return parse(content, where)
