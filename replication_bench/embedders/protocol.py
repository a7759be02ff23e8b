"""Named image protocols: what happens to an image between its file and its vector, and the hash of all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Vectors = NDArray[np.float32]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageProtocol:
    """Preprocessing and weights of one embedder. Vectors of unlike protocols must never be compared.

    Attributes:
        name: the protocol's published or local name.
        weights_sha256: hash of the weights file.
        resize: ``squash`` to ``pixels`` x ``pixels``, or ``short`` side to ``pixels`` with the aspect kept.
        pixels: see ``resize``.
        crop: side of the centre crop after resizing; None for no crop.
        mean: per channel, on values in [0, 1].
        std: per channel, on values in [0, 1].
        interpolation: Pillow's name of the filter.
        dtype: the number format the network computes in.
    """

    name: str
    weights_sha256: str
    resize: str = "squash"
    pixels: int = 128
    crop: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"
    dtype: str = "int8"

    @property
    def hash(self) -> str:
        """SHA-256 of every field; the first 12 hex digits are enough for people."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop ``image``: uint8 [H, W, 3], RGB, not yet normalised."""
        image = image.convert("RGB")
        width, height = image.size
        scale = self.pixels / min(width, height)
        size = (
            (self.pixels, self.pixels)
            if self.resize == "squash"
            else (max(self.pixels, round(width * scale)), max(self.pixels, round(height * scale)))
        )
        if size != image.size:
            image = image.resize(size, Image.Resampling[self.interpolation.upper()])
        if self.crop is not None:
            left, top = (image.width - self.crop) // 2, (image.height - self.crop) // 2
            image = image.crop((left, top, left + self.crop, top + self.crop))
        return np.asarray(image)


@runtime_checkable
class Embedder(Protocol):
    """Images to unit vectors.

    Attributes:
        name: the embedder's name behind its door.
        protocol: everything that can change a vector.
        dim: length of a vector.
    """

    name: str
    protocol: ImageProtocol
    dim: int

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """Vectors float32 [n, dim] with norm 1, in the order of ``images``."""
        ...
