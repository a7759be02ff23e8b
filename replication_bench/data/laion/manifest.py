"""The manifest of a subset: one line of facts, then one line for each picked link, arrived or dead.

Its fingerprint is that of the examples that remain, so it is the same wherever the same bytes arrived.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from replication_bench.data.example import Example, Examples, Splits
from replication_bench.data.laion.judge import EXTENSIONS
from replication_bench.errors import DataError
from replication_bench.store import write_atomic

FORMAT = 1
NAME = "manifest.jsonl"
FACTS = {"asked": dict, "metadata": list}  # without which no request can be compared with a manifest
TRAIN, HELDOUT = "train", "heldout"


@dataclass(frozen=True)
class Row:
    """One picked link.

    Attributes:
        id: its place in the choice, nine digits; equal on every machine.
        url: the link.
        caption: its text.
        sha256: of the file that arrived, also where it is missing now; empty where it is dead or not yet fetched.
        bytes: size of that file.
        width: in pixels.
        height: in pixels.
        extension: of that file by its content.
        split: ``train`` or ``heldout``; empty where there is no image, or no split yet.
        reason: why there is no image; empty where there is one. With a hash, the image arrived once and is missing.
    """

    id: str
    url: str
    caption: str
    sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    extension: str = ""
    split: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """ValueError for what replbench does not write: a manifest may come from anybody."""
        fits = (
            re.fullmatch(r"\d{9}", self.id),
            self.url.lower().startswith(("http://", "https://")),
            re.fullmatch(r"([0-9a-f]{64})?", self.sha256),
            self.extension in ("", *EXTENSIONS.values()),
            self.split in ("", TRAIN, HELDOUT),
        )
        if not all(fits):
            raise ValueError(f"a row that cannot be: {self.id} {self.url}")

    @property
    def present(self) -> bool:
        """Whether its image is there."""
        return bool(self.sha256) and not self.reason

    @property
    def missing(self) -> bool:
        """Whether its image arrived once, is not there, and could not be fetched again."""
        return bool(self.sha256) and bool(self.reason)

    @property
    def member(self) -> str:
        """The name of its image within its shard."""
        return f"{self.id}.{self.extension}"


@dataclass(frozen=True)
class Manifest:
    """The facts of a subset, and its rows in the order of their ids."""

    facts: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def arrived(self) -> list[Row]:
        """The rows that have an image."""
        return [row for row in self.rows if row.present]

    @property
    def missing(self) -> list[Row]:
        """The rows whose image arrived once and is to be fetched again."""
        return [row for row in self.rows if row.missing]


def examples(rows: Iterable[Row], split: str, load: Any) -> Examples:
    """The rows of one split as examples; ``load`` turns a row into what opens its image."""
    return Examples(
        tuple(Example(r.id, (r.caption,), load(r), r.sha256) for r in rows if r.present and r.split == split)
    )


def no_image() -> Image.Image:
    """Stands for an image where only its hash matters."""
    raise AssertionError("a fingerprint opens no image")


def fingerprint(rows: Sequence[Row]) -> str:
    """That of the splits, as a result records it."""
    train, heldout = (examples(rows, split, lambda row: no_image) for split in (TRAIN, HELDOUT))
    return Splits(train, heldout).fingerprint


def reasons(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows are dead for which reason, most frequent first."""
    return dict(Counter(row.reason for row in rows if row.reason).most_common())


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write it atomically."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            for value in ({"format": FORMAT, **manifest.facts}, *map(asdict, manifest.rows)):
                file.write(json.dumps(value, ensure_ascii=False) + "\n")

    write_atomic(path, write)


def read_manifest(path: Path) -> Manifest:
    """Read it back.

    Raises:
        DataError: not there, or no manifest.
    """
    try:
        with path.open(encoding="utf-8") as file:
            facts, *rows = map(json.loads, file)
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}")
        for name, kind in FACTS.items():
            if not isinstance(facts[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
        return Manifest(facts, tuple(Row(**row) for row in rows))
    except (OSError, ValueError, TypeError, KeyError, LookupError) as error:
        got = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        want = f"a {NAME} that replbench data prepare wrote"
        raise DataError("the manifest cannot be read", where=path, got=got, want=want) from error
