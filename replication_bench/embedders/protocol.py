"""Named image protocols: what happens to an image between its file and its vector, and the hash of all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from replication_bench.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageProtocol:
    """Preprocessing and weights of one embedder. Vectors of unlike protocols must never be compared.

    Attributes:
        name: the protocol's published or local name.
        weights_sha256: hash of the weights.
        resize: ``squash`` to ``pixels`` x ``pixels``, ``short`` side to ``pixels`` with the aspect kept, or ``none``
            where the network resizes.
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

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after resizing; the long side is cut to an integer as torchvision's ``Resize`` does."""
        if self.resize == "none":
            return width, height
        if self.resize == "squash":
            return self.pixels, self.pixels
        short = min(width, height)
        return self.pixels * width // short, self.pixels * height // short

    def crop_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the centre crop of a resized image, rounded as torchvision does."""
        side = self.crop
        if side is None:
            return 0, 0, width, height
        left, top = round((width - side) / 2), round((height - side) / 2)
        return left, top, left + side, top + side

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop ``image``: uint8 [H, W, 3], RGB, not yet normalised. Transparent parts become white."""
        image = flattened(image)
        size = self.size(*image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling[self.interpolation.upper()])
        if self.crop is not None:
            image = image.crop(self.crop_box(*image.size))
        return np.asarray(image)


def flattened(image: Image.Image) -> Image.Image:
    """``image`` in RGB, 8 bit; transparent pixels have no colour of their own, so they are put on white."""
    if image.mode == "RGB":
        return image
    from replication_bench.data import images  # which itself needs this module

    return images.flattened(image)


def differences(left: ImageProtocol, right: ImageProtocol) -> str:
    """The fields in which two protocols differ: ``pixels 128 / 320``."""
    pairs = ((key, value, getattr(right, key)) for key, value in asdict(left).items())
    return ", ".join(f"{key} {short(a)} / {short(b)}" for key, a, b in pairs if a != b)


def check_comparable(
    left: ImageProtocol,
    right: ImageProtocol,
    force: bool = False,
    where: object = None,
    hint: str = "Embed both sides with one protocol; a forced comparison is marked.",
) -> str | None:
    """Whether vectors of the two protocols may stand beside each other.

    Args:
        left: of one side.
        right: of the other.
        force: compare unlike protocols all the same.
        where: what the error is about.
        hint: what to do about it.

    Returns:
        None where the hashes are equal; else, where ``force`` is set, the mark that must stand beside the numbers.

    Raises:
        ConfigError: unlike hashes without ``force``; shows both and the fields that differ.
    """
    if left.hash == right.hash:
        return None
    both = f"{left.name} ({left.hash[:12]}) and {right.name} ({right.hash[:12]})"
    unlike = f"{both}: {differences(left, right)}"
    if force:
        return f"forced comparison of unlike protocols: {unlike}"
    raise ConfigError("vectors of unlike protocols cannot be compared", where=where, got=unlike, hint=hint)


def short(value: object) -> str:
    """A field's value for people: hashes cut to 12 digits."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


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


def trained_as(embedder: Embedder) -> str:
    """Which published weights an embedder has, where it says so (``trained``): SSCD's names, such as ``disc_mixup``."""
    return str(getattr(embedder, "trained", ""))


@runtime_checkable
class FeatureEmbedder(Embedder, Protocol):
    """An embedder whose vectors have a meaning before they are scaled to norm 1, as Frechet distances need."""

    def features(self, images: Sequence[Image.Image]) -> Vectors:
        """Vectors float32 [n, dim] as the network gives them."""
        ...


@runtime_checkable
class DifferentiableEmbedder(Embedder, Protocol):
    """An embedder that gradients pass through; ``differentiable`` is False where they cannot."""

    differentiable: bool

    def encode_tensor(self, images: Tensor) -> Tensor:
        """Images float [n, 3, H, W] in [-1, 1] to unit vectors float [n, dim], on the images' device.

        Raises:
            ConfigError: no gradients pass through this embedder.
        """
        ...


@runtime_checkable
class ImageTextEmbedder(Embedder, Protocol):
    """An embedder with a text tower into the same space."""

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors float32 [n, dim] with norm 1, in the order of ``texts``; what is too long is cut."""
        ...

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many of ``texts`` are longer than the text tower reads."""
        ...
