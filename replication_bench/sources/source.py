"""What a source of images is: entries that can be read by id, and a list of what cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from replication_bench.data.images import decode_image, os_reason
from replication_bench.errors import DataError

LEAST_SIDE = 2
MOST_ASPECT = 10  # a strip that keeps its aspect would take gigabytes: 3 x 4000 becomes 288 x 384,000


def readable(text: str) -> str:
    """``text`` as it can be written anywhere: bytes of a file name that are no UTF-8 become ``\\xff`` and the like."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Entry:
    """One image that was found, not yet read.

    Attributes:
        id: unique within its source and stable between audits, such as a relative path; made ``readable``.
        read: the bytes of its file.
        captions: captions or prompts; the first is used where one is needed.
    """

    id: str
    read: Callable[[], bytes] = field(repr=False, compare=False)
    captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", readable(self.id))

    def open(self) -> Image.Image:
        """The image as RGB; see ``picture_of`` for what is refused."""
        return picture_of(self.read(), self.id)[0]


@dataclass(frozen=True)
class Skipped:
    """Something that was found and could not be used; ``damaged`` where more than itself is lost by it."""

    id: str
    reason: str
    damaged: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", readable(self.id))
        object.__setattr__(self, "reason", readable(self.reason))


@dataclass(frozen=True)
class Source:
    """A set of images.

    Attributes:
        path: what was given.
        kind: ``folder``, ``run``, ``dcr``, ``webdataset``, ``parquet``, ``huggingface`` or ``index``.
        entries: in a stated order.
        skipped: what was found but cannot even be listed, such as the rest of a tar file that is cut.
        notes: what a reader must know.
    """

    path: str
    kind: str
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """A short name for folders and tables."""
        parts = [part for part in Path(self.path).parts if part not in ("generations", "..", ".", "/")]
        stem = re.sub(r"\.(tar|parquet|tgz|gz)", "", parts[-1]) if parts else ""
        return stem.strip("*?") or self.kind


def unique_ids(names: Sequence[str]) -> list[str]:
    """The names as ids; one that stands again gets a number."""
    seen: dict[str, int] = {}
    ids = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return ids


def picture_of(data: bytes, where: str) -> tuple[Image.Image, int]:
    """The decoded image and its number of frames.

    Raises:
        DataError: the bytes are no image, or one without a picture: a single row, column or pixel resembles
            every plain image, so that it would be called a copy of them; or a strip whose long side is more than
            ``MOST_ASPECT`` times the short one.
    """
    image, frames = decode_image(data, where)
    if min(image.size) < LEAST_SIDE:
        got, want = f"{image.width} x {image.height} pixels", f"at least {LEAST_SIDE} on each side"
        raise DataError("the image is too small to be compared", where=where, got=got, want=want)
    if max(image.size) > MOST_ASPECT * min(image.size):
        got, want = (
            f"{image.width} x {image.height} pixels",
            f"a long side of at most {MOST_ASPECT} short ones",
        )
        raise DataError("the image is too long a strip to be compared", where=where, got=got, want=want)
    return image, frames


def reading(path: Path) -> Callable[[], bytes]:
    """Reads a file when it is called; DataError where it cannot be read."""

    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError("the image cannot be read", where=path, got=os_reason(path, error)) from error

    return read
