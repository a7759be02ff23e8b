"""Drawings on made backgrounds, moved, turned, mirrored and relit, on the device that trains."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from clip.model import PIXELS

SEEN = 64  # the side at which the embedded sets are generated; what is finer must not be learnt


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng, device=rng.device) * (high - low) + low


def placements(n: int, rng: torch.Generator) -> Tensor:
    """Affine maps float [n, 2, 3]: scale, mirror image, small rotation, shift."""
    scale, turn = 1 / uniform(n, 0.7, 1.15, rng), uniform(n, -0.2, 0.2, rng)
    mirror = torch.where(uniform(n, 0, 1, rng) < 0.5, -1.0, 1.0)
    cos, sin = scale * torch.cos(turn), scale * torch.sin(turn)
    x, y = uniform(n, -0.15, 0.15, rng), uniform(n, -0.15, 0.15, rng)
    return torch.stack([torch.stack([cos * mirror, -sin, x], 1), torch.stack([sin * mirror, cos, y], 1)], 1)


def backgrounds(n: int, rng: torch.Generator) -> Tensor:
    """Float [n, 3, SEEN, SEEN] in [0, 1]: white, one colour, or smooth noise of random coarseness."""
    colour = torch.rand(n, 3, 1, 1, generator=rng, device=rng.device)
    side = 2 ** int(torch.randint(1, 6, (), generator=rng, device=rng.device))
    noise = torch.rand(n, 3, side, side, generator=rng, device=rng.device)
    noise = functional.interpolate(noise, size=(SEEN, SEEN), mode="bilinear", align_corners=False)
    kind = uniform(n, 0, 1, rng).view(n, 1, 1, 1)
    mixed = torch.where(kind < 0.75, colour.expand_as(noise), 0.5 * colour + 0.5 * noise)
    return torch.where(kind < 0.5, torch.ones_like(noise), mixed)


def relit(pixels: Tensor, rng: torch.Generator) -> Tensor:
    """Gain, offset and a colour cast for each picture."""
    n = len(pixels)
    gain = uniform(n, 0.7, 1.2, rng).view(n, 1, 1, 1) * (
        1 + 0.1 * torch.randn(n, 3, 1, 1, generator=rng, device=rng.device)
    )
    return (pixels * gain + uniform(n, -0.08, 0.08, rng).view(n, 1, 1, 1)).clamp(0, 1)


def enlarged(pixels: Tensor) -> Tensor:
    """To the side that the image tower takes."""
    size = (PIXELS, PIXELS)
    return functional.interpolate(pixels, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def plain(drawings: Tensor) -> Tensor:
    """Drawings uint8 [n, 4, S, S] on white at the tower's side, as the embedded set shows them."""
    rgba = drawings.float() / 255
    flat = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    return enlarged(functional.interpolate(flat, size=(SEEN, SEEN), mode="area"))


def augmented(drawings: Tensor, rng: torch.Generator) -> Tensor:
    """Drawings uint8 [n, 4, S, S] to pictures float [n, 3, PIXELS, PIXELS] in [0, 1]."""
    rgba = drawings.float() / 255
    rgba = torch.cat(
        [rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1
    )  # weighted by opacity, so that edges mix rightly
    grid = functional.affine_grid(placements(len(rgba), rng), [len(rgba), 4, SEEN, SEEN], align_corners=False)
    moved = functional.grid_sample(rgba, grid, mode="bilinear", align_corners=False)
    flat = moved[:, :3] + backgrounds(len(rgba), rng) * (1 - moved[:, 3:])
    blur = math.exp(float(uniform(1, -2, 0.3, rng)))
    side = max(24, round(SEEN / max(1.0, blur)))
    softened = functional.interpolate(flat, size=(side, side), mode="bilinear", align_corners=False)
    return enlarged(relit(softened, rng))
