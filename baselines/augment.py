"""The method ``augment``: images change at every draw, so that no exact image is seen twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.ranges import at_least, probability

Change = Callable[[Tensor], Tensor]


def uniform(low: float, high: float, rng: torch.Generator) -> float:
    """One number, uniform in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def cropped(image: Tensor, area: float, top: float, left: float) -> Tensor:
    """A window of ``area`` of the image with its aspect, scaled back to the full size.

    Args:
        image: float [3, H, W].
        area: share of the image's area, in (0, 1].
        top: where the window lies, from 0 (upper edge) to 1 (lower edge).
        left: likewise, from left to right.
    """
    height, width = image.shape[-2:]
    rows, columns = (max(1, round(side * math.sqrt(area))) for side in (height, width))
    if (rows, columns) == (height, width):
        return image
    corner = round(top * (height - rows)), round(left * (width - columns))
    return functional.resized_crop(
        image, *corner, rows, columns, [height, width], InterpolationMode.BICUBIC, antialias=True
    ).clamp(-1, 1)


def rotated(image: Tensor, degrees: float) -> Tensor:
    """Turned about its centre; what comes in at the corners is the image's own mirror image, never a new colour."""
    if degrees == 0:
        return image
    height, width = image.shape[-2:]
    margin = math.ceil((math.hypot(height, width) - min(height, width)) / 2)
    wide = functional.pad(image, [margin] * 4, padding_mode="reflect")
    turned = functional.rotate(wide, degrees, InterpolationMode.BILINEAR)
    return functional.center_crop(turned, [height, width])


def coloured(image: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Factors of brightness, contrast and saturation, 1 for none, and a shift of the hue in turns, 0 for none."""
    changes: list[tuple[bool, Change]] = [
        (brightness != 1, lambda x: functional.adjust_brightness(x, brightness)),
        (contrast != 1, lambda x: functional.adjust_contrast(x, contrast)),
        (saturation != 1, lambda x: functional.adjust_saturation(x, saturation)),
        (hue != 0, lambda x: functional.adjust_hue(x, hue)),
    ]
    wanted = [change for active, change in changes if active]
    if not wanted:
        return image
    values = (image + 1) / 2
    for change in wanted:
        values = change(values)
    return values * 2 - 1


@dataclass(frozen=True)
class Augment(Method):
    """A flip, a random resized crop, a rotation and a colour change at every draw of an image, in this order.

    Each strength of 0 switches its part off; with all at 0 images stay as they are, to the bit. Every part draws its
    random numbers whatever its strength, so that one strength does not change what another part does.

    Attributes:
        flip: probability of a horizontal flip, beside the one of the recipe.
        crop: largest share of the area that a crop takes away, in [0, 1).
        rotate: largest angle in degrees, to either side.
        colour: largest relative change of brightness, contrast and saturation, each drawn for itself; in [0, 1].
        hue: largest shift of the hue in turns, in [0, 0.5].

    Raises:
        ConfigError: a strength out of range.
    """

    summary: ClassVar[str] = "flip, random resized crop, rotation and colour change at every draw"
    paper: ClassVar[str] = "common practice; crops arXiv 1409.4842, colours Krizhevsky et al. (NeurIPS 2012)"

    flip: float = 0.5
    crop: float = 0.2
    rotate: float = 10.0
    colour: float = 0.1
    hue: float = 0.02

    def __post_init__(self) -> None:
        probability("flip", self.flip)
        probability("colour", self.colour)
        for name, value, most in (
            ("crop", self.crop, 0.99),
            ("rotate", self.rotate, 180),
            ("hue", self.hue, 0.5),
        ):
            at_least(name, value, 0)
            if value > most:
                raise ConfigError("out of range", where=name, got=value, want=f"at most {most}")

    def image(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """Float [3, H, W] in [-1, 1] to the same."""
        flip = uniform(0, 1, rng) < self.flip
        window = uniform(1 - self.crop, 1, rng), uniform(0, 1, rng), uniform(0, 1, rng)
        angle = uniform(-self.rotate, self.rotate, rng)
        factors = [uniform(1 - self.colour, 1 + self.colour, rng) for _ in range(3)]
        hue = uniform(-self.hue, self.hue, rng)
        image = cropped(image.flip(-1) if flip else image, *window)
        return coloured(rotated(image, angle), factors[0], factors[1], factors[2], hue)
