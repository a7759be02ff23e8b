"""Pictures that the VAE learns from: public drawings on made backgrounds, and scenes made from nothing.

The scenes follow the dead-leaves model (Lee, Mumford, Huang 2001): opaque shapes with power-law sizes that cover each
other have the edge and scale statistics of photographs, so a VAE that never saw a photograph can still code one.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from replication_bench.data import openmoji

SIDE = 64
Rgb = np.ndarray  # float32 [SIDE, SIDE, 3] in [0, 1]


def noise_field(rng: np.random.Generator, side: int = SIDE) -> Rgb:
    """Coloured noise with spectrum 1/f^a, a in [0.6, 2.4]: cloud, grain, bark, fur."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None] * rng.uniform(0.5, 2), np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1 / side
    spectrum = frequency ** -rng.uniform(0.6, 2.4)
    phase = rng.normal(size=(3, *spectrum.shape)) + 1j * rng.normal(size=(3, *spectrum.shape))
    field = np.fft.irfft2(spectrum * phase, s=(side, side))
    field = (field - field.mean((1, 2), keepdims=True)) / (field.std((1, 2), keepdims=True) + 1e-6)
    common = rng.uniform(0.5, 1)  # photographs vary mostly in brightness, little in hue
    field = common * field[:1] + (1 - common) * field
    return (
        (rng.uniform(0, 1, 3) + rng.uniform(0.02, 0.25) * field.transpose(1, 2, 0))
        .clip(0, 1)
        .astype(np.float32)
    )


def gradient_field(rng: np.random.Generator, side: int = SIDE) -> Rgb:
    """A smooth passage between two colours, straight or round."""
    y, x = np.mgrid[0:side, 0:side] / side
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = x * np.cos(angle) + y * np.sin(angle)
    else:
        ramp = np.hypot(x - rng.random(), y - rng.random())
    ramp = ((ramp - ramp.min()) / np.ptp(ramp))[..., None]
    return (rng.random(3) * (1 - ramp) + rng.random(3) * ramp).astype(np.float32)


def stripe_field(rng: np.random.Generator, side: int = SIDE) -> Rgb:
    """Stripes or checks with soft or hard edges: cloth, bricks, fences."""
    y, x = np.mgrid[0:side, 0:side]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 24)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    if rng.random() < 0.4:
        wave = wave * np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle)) / period)
    mask = (0.5 + 0.5 * np.tanh(wave * rng.uniform(1, 8)))[..., None]
    return (rng.random(3) * mask + rng.random(3) * (1 - mask)).astype(np.float32)


def surface(rng: np.random.Generator) -> Rgb:
    """One material: a colour, passage, noise or pattern under uneven light."""
    kind = rng.random()
    if kind < 0.25:
        field = np.broadcast_to(rng.random(3).astype(np.float32), (SIDE, SIDE, 3))
    elif kind < 0.5:
        field = gradient_field(rng)
    elif kind < 0.85:
        field = noise_field(rng)
    else:
        field = stripe_field(rng)
    light = 1 + rng.uniform(0, 0.6) * (gradient_field(rng)[..., :1] - 0.5)
    return (field * light).clip(0, 1)


def leaf(rng: np.random.Generator, image: ImageDraw.ImageDraw, radius: float, scale: int) -> None:
    """Draw one random opaque shape of the given radius."""
    x, y = rng.uniform(0, SIDE * scale, 2)
    radius *= scale
    if rng.random() < 0.5:
        a, b = radius * rng.uniform(0.4, 1, 2)
        image.ellipse([x - a, y - b, x + a, y + b], fill=255)
        return
    corners = rng.integers(3, 8)
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.6, 1, corners)
    image.polygon(
        [(x + r * np.cos(t), y + r * np.sin(t)) for r, t in zip(reach, angle, strict=True)], fill=255
    )


def leaf_mask(rng: np.random.Generator, radius: float) -> np.ndarray:
    """An anti-aliased mask [SIDE, SIDE, 1] in [0, 1], sometimes out of focus."""
    scale = 3
    mask = Image.new("L", (SIDE * scale, SIDE * scale))
    leaf(rng, ImageDraw.Draw(mask), radius, scale)
    mask = mask.resize((SIDE, SIDE), Image.Resampling.BOX)
    if rng.random() < 0.25:
        mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    return np.asarray(mask, dtype=np.float32)[..., None] / 255


def scene(rng: np.random.Generator) -> np.ndarray:
    """A dead-leaves scene, uint8 [SIDE, SIDE, 3]."""
    canvas = surface(rng) if rng.random() < 0.65 else np.ones((SIDE, SIDE, 3), dtype=np.float32)
    radii = 3 * rng.random(rng.integers(4, 28)) ** (-1 / 1.6)  # power law: few large shapes, many small ones
    for radius in np.sort(radii.clip(2, 40))[::-1]:
        mask = leaf_mask(rng, float(radius))
        canvas = canvas * (1 - mask) + surface(rng) * mask
    return (canvas.clip(0, 1) * 255).round().astype(np.uint8)


def numbered_scene(seed: int, index: int) -> np.ndarray:
    """Scene ``index`` of a series; every seventh is a bare surface."""
    rng = np.random.default_rng((seed, index))
    return scene(rng) if index % 7 else (surface(rng) * 255).astype(np.uint8)


def scenes(count: int, seed: int) -> np.ndarray:
    """``count`` scenes, uint8 [count, SIDE, SIDE, 3]."""
    # forked before any use of a GPU: a spawned process would import everything again
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return np.stack(list(pool.map(partial(numbered_scene, seed), range(count), chunksize=64)))


def drawings_rgba(pixels: int = SIDE) -> np.ndarray:
    """The public drawings with transparency, uint8 [n, pixels, pixels, 4]."""
    import io

    import resvg_py

    rows = []
    for example in openmoji.OpenMoji().load().public:
        svg = openmoji.catalog()[example.id].path.read_text(encoding="utf-8")
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=pixels, height=pixels))
        rows.append(np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")))
    return np.stack(rows)


def as_tensor(rows: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [n, S, S, c] to uint8 [n, c, S, S] on ``device``."""
    return torch.from_numpy(rows).permute(0, 3, 1, 2).contiguous().to(device)


def pick(rows: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """``n`` random rows, uint8 [n, c, S, S] to float32 in [0, 1]."""
    index = torch.randint(len(rows), (n,), generator=rng, device=rng.device)
    return rows[index].float() / 255


def uniform(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def turned(rows: Tensor, rng: torch.Generator) -> Tensor:
    """Each row mirrored or not, and half of the batches turned by quarters."""
    rows = torch.where(uniform(0, 1, (len(rows), 1, 1, 1), rng) < 0.5, rows, rows.flip(-1))
    quarters = int(torch.randint(4, (), generator=rng, device=rng.device))
    return rows.rot90(quarters, (2, 3)) if uniform(0, 1, (), rng) < 0.5 else rows


def moved(rows: Tensor, reach: int, rng: torch.Generator) -> Tensor:
    """Each row rolled by up to ``reach`` pixels in both directions."""
    n, c, height, width = rows.shape
    down, right = torch.randint(-reach, reach + 1, (2, n, 1), generator=rng, device=rng.device)
    y = (torch.arange(height, device=rng.device) - down) % height
    x = (torch.arange(width, device=rng.device) - right) % width
    return rows[
        torch.arange(n, device=rng.device)[:, None, None, None],
        torch.arange(c)[None, :, None, None].to(rng.device),
        y[:, None, :, None],
        x[:, None, None, :],
    ]


def compose(drawings: Tensor, under: Tensor, rng: torch.Generator) -> Tensor:
    """Drawings [n, 4, S, S] moved, mirrored, relit and put on ``under`` [n, 3, S, S]; half stay on white."""
    n = len(drawings)
    drawings = moved(drawings, 6, rng)
    drawings = torch.where(uniform(0, 1, (n, 1, 1, 1), rng) < 0.5, drawings, drawings.flip(-1))
    relit = uniform(0, 1, (n, 1, 1, 1), rng) < 0.5
    gain = torch.where(relit, uniform(0.6, 1.15, (n, 3, 1, 1), rng), 1.0)
    under = torch.where(uniform(0, 1, (n, 1, 1, 1), rng) < 0.5, under, 1.0)
    alpha = drawings[:, 3:]
    return (drawings[:, :3] * gain * alpha + under * (1 - alpha)).clamp(0, 1)
