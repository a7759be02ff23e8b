"""Dataset ``stamps``: captioned photographs and drawings from the Debian package ``tuxpaint-stamps-default``.

Read from the installed package and never committed: the pictures are GPL-2 (Tux Paint project). Letters and signs
(``symbols/``) are left out. ``train`` and ``heldout`` hold only stamps that have no neighbour above SSCD 0.5 in
another split; ``scripts/split_stamps.py`` made the committed split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from PIL import Image, ImageOps

from replication_bench.data.example import Embed, Example, Examples, Splits
from replication_bench.data.images import list_images, read_image
from replication_bench.errors import ConfigError, DataError

FOLDER = Path("/usr/share/tuxpaint/stamps")
INSTALL_HINT = "apt-get install -y --no-install-recommends tuxpaint-stamps-default"
SIZES = (64, 192)
PIXELS = 64
NOTE = (
    "stamps: the images were chosen to be unlike each other (no pair across splits above SSCD 0.5), so the floor and "
    "the false-positive rate hold for this chosen set only."
)


@dataclass(frozen=True)
class Stamp:
    """One captioned picture: its path relative to the package's folder, its caption, its file."""

    id: str
    caption: str
    path: Path


def caption_of(text: str) -> str:
    """The first line without its full stop; the lines below are translations."""
    return text.partition("\n")[0].strip().rstrip(".")


@cache
def catalog(folder: Path = FOLDER) -> dict[str, Stamp]:
    """Every captioned PNG outside ``symbols/`` by relative path, in natural order.

    Raises:
        DataError: the package is not installed.
    """
    if not folder.is_dir():
        raise DataError(
            "the dataset stamps needs the Debian package 'tuxpaint-stamps-default'",
            where=folder,
            hint=INSTALL_HINT,
        )
    stamps = {}
    for path in list_images(folder):
        text, id = path.with_suffix(".txt"), path.relative_to(folder).as_posix()
        if path.suffix == ".png" and text.is_file() and not id.startswith("symbols/"):
            stamps[id] = Stamp(id, caption_of(text.read_text(encoding="utf-8")), path)
    return stamps


def fitted(path: Path, pixels: int = PIXELS) -> Image.Image:
    """The picture on white, RGB, scaled to fit into ``pixels`` x ``pixels`` with its aspect kept."""
    return ImageOps.pad(read_image(path), (pixels, pixels), Image.Resampling.BICUBIC, color="white")


def example(stamp: Stamp) -> Example:
    """The stamp as an example; its hash names the file's bytes and the fitted size."""
    digest = hashlib.sha256(stamp.path.read_bytes() + str(PIXELS).encode()).hexdigest()
    return Example(stamp.id, (stamp.caption,), partial(fitted, stamp.path), digest)


@cache
def committed_split() -> dict[str, tuple[str, ...]]:
    """Relative paths of ``train`` (192, in order), ``heldout`` and ``left_out``, as committed."""
    text = (files("replication_bench.data") / "stamps_split.json").read_text(encoding="utf-8")
    return {name: tuple(ids) for name, ids in json.loads(text)["splits"].items()}


@dataclass(frozen=True)
class Stamps:
    """Tux Paint stamps at 64 px.

    Args:
        size: number of private training images, 64 or 192 (which contains the 64).

    Raises:
        ConfigError: another size.
    """

    licence: ClassVar[str] = "GPL-2, Tux Paint project"

    size: int = 64

    def __post_init__(self) -> None:
        if self.size not in SIZES or not isinstance(self.size, int):
            raise ConfigError(
                "no such stamps split", where="size", got=self.size, want=" or ".join(map(str, SIZES))
            )

    def load(self, embed: Embed | None = None) -> Splits:
        """The three splits; they are committed, so ``embed`` is not used.

        Raises:
            DataError: the package is missing, or holds other pictures than the committed split names.
        """
        stamps, split = catalog(FOLDER), committed_split()
        missing = [id for ids in split.values() for id in ids if id not in stamps]
        if missing:
            raise DataError(
                "the installed stamps are not those of the committed split",
                where=FOLDER,
                got=f"{len(missing)} missing, first {missing[0]}",
                hint=INSTALL_HINT,
            )
        chosen = {id for ids in split.values() for id in ids}
        return Splits(
            train=Examples(tuple(example(stamps[id]) for id in split["train"][: self.size])),
            heldout=Examples(tuple(example(stamps[id]) for id in split["heldout"])),
            public=Examples(tuple(example(stamp) for id, stamp in stamps.items() if id not in chosen)),
            note=NOTE,
        )
