"""Thumbnails of a page: each image once, many on one sheet, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from PIL import Image

ACROSS = 16
QUALITY = 82
ABSENT = -1
LEAST_SIDE = 48  # pixels; a smaller thumbnail shows too little
STEP = 8
ROOM = 0.95  # of the budget: a sample does not know all
Load = Callable[[], Image.Image | None]


class Atlas:
    """Square thumbnails on WebP sheets of ``ACROSS`` x ``ACROSS``.

    Images are asked for first, the most important ones first, and drawn together: only then is it known how large each
    may be.

    Args:
        side: pixels of a thumbnail's side; less where not all would fit into the budget.
        budget: bytes of all sheets together in the page; what comes later is left out.
    """

    def __init__(self, side: int, budget: int):
        self.side, self.budget = side, budget
        self.sheets: list[str] = []
        self.wanted: dict[Hashable, Load] = {}
        self.tiles: dict[Hashable, int] = {}
        self.left_out = 0
        self.placed = 0
        self.open: Image.Image | None = None

    @property
    def bytes(self) -> int:
        """Of all sheets in the page."""
        return sum(map(len, self.sheets))

    def want(self, key: Hashable, load: Load) -> Hashable:
        """Ask for an image; its key."""
        self.wanted.setdefault(key, load)
        return key

    def draw(self) -> None:
        """Draw every image that was asked for, each once."""
        self.side = self.fitting_side()
        for key, load in self.wanted.items():
            self.tiles[key] = self.place(load)
        self.close()

    def tile(self, key: Hashable) -> int:
        """The number of an image's tile; ``ABSENT`` where there is none to show."""
        return self.tiles.get(key, ABSENT)

    def fitting_side(self) -> int:
        """The largest side at which all thumbnails fit into the budget, judged by a sheet of them."""
        loads = list(self.wanted.values())
        if len(loads) <= ACROSS**2:
            return self.side
        loaded = (load() for load in loads[:: len(loads) // ACROSS**2 + 1])
        some = [fitted(image, self.side) for image in loaded if image is not None]
        sides = [self.side, *range(self.side - STEP, LEAST_SIDE, -STEP)]
        fits = (side for side in sides if len(loads) * bytes_each(some, side) <= ROOM * self.budget)
        return next(fits, min(self.side, LEAST_SIDE))

    def place(self, load: Load) -> int:
        """Put an image onto the open sheet."""
        if self.bytes >= self.budget:
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


def bytes_each(images: Sequence[Image.Image], side: int) -> float:
    """Bytes of a thumbnail in the page, mean over these images."""
    trial = Atlas(side, budget=1)  # one sheet is never too much
    for image in images:
        trial.place(partial(fitted, image, side))
    trial.close()
    return trial.bytes / max(trial.placed, 1)


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
