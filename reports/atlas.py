"""Thumbnails of a page: each image once, many on one sheet, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Hashable

from PIL import Image

ACROSS = 16
QUALITY = 82
ABSENT = -1
Load = Callable[[], Image.Image | None]


class Atlas:
    """Square thumbnails on WebP sheets of ``ACROSS`` x ``ACROSS``.

    Args:
        side: pixels of a thumbnail's side.
        budget: bytes of all sheets together in the page; what comes later is left out.
    """

    def __init__(self, side: int, budget: int):
        self.side, self.budget = side, budget
        self.sheets: list[str] = []
        self.tiles: dict[Hashable, int] = {}
        self.left_out = 0
        self.placed = 0
        self.open: Image.Image | None = None

    @property
    def is_full(self) -> bool:
        """Whether the budget is spent."""
        return sum(map(len, self.sheets)) >= self.budget

    def add(self, key: Hashable, load: Load) -> int:
        """The number of an image's tile; it is loaded at its first use. ``ABSENT`` where there is none to show."""
        if key not in self.tiles:
            self.tiles[key] = self.place(load)
        return self.tiles[key]

    def place(self, load: Load) -> int:
        """Put an image onto the open sheet."""
        if self.is_full:
            self.left_out += 1
            return ABSENT
        image = load()
        if image is None:
            return ABSENT
        if self.open is None:
            self.open = Image.new("RGB", (self.side * ACROSS, self.side * ACROSS), "white")
        row, column = divmod(self.placed % ACROSS**2, ACROSS)
        self.open.paste(fitted(image, self.side), (column * self.side, row * self.side))
        self.placed += 1
        if self.placed % ACROSS**2 == 0:
            self.close()
        return self.placed - 1

    def close(self) -> None:
        """Encode the open sheet."""
        if self.open is not None:
            file = io.BytesIO()
            self.open.save(file, format="WEBP", quality=QUALITY, method=2)
            self.sheets.append(base64.b64encode(file.getvalue()).decode())
            self.open = None


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The whole image on a white square; small ones are enlarged with hard pixels, to smooth nothing away."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    hard = scale >= 1 and float(scale).is_integer()
    scaled = image.convert("RGB").resize(size, Image.Resampling.NEAREST if hard else Image.Resampling.LANCZOS)
    if size == (side, side):
        return scaled
    square = Image.new("RGB", (side, side), "white")
    square.paste(scaled, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square
