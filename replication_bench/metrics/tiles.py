"""Images compared tile by tile, in place: pixel distances, and the local similarity that sees template copies.

Every image is brought to 64 x 64 pixels and cut into 4 x 4 tiles. One matrix product a tile gives both the distances
and the correlations of all pairs, in blocks, so memory does not grow with generated x train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Thumbnails = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE = 64
GRID = 4
BEST = GRID * GRID // 2
FLAT = 0.03
NEAREST = 50
ALPHA = 0.5
ROWS, COLUMNS = 256, 512


class Tiles(NamedTuple):
    """Tiles of n images: ``pixels`` float32 [16, n, p] in [0, 1] with their ``mean`` and ``spread`` [16, n]."""

    pixels: Floats
    mean: Floats
    spread: Floats


class Closest(NamedTuple):
    """What the pixels say of each image against a gallery.

    Attributes:
        carlini: distance to the nearest over half the mean of the 50 nearest, [n].
        tiled_l2: smallest over the gallery of the largest root-mean-square distance of a tile, [n].
        local: largest over the gallery of the mean correlation of the best half of tiles, [n].
        source: the gallery image with that, int64 [n].
    """

    carlini: Floats
    tiled_l2: Floats
    local: Floats
    source: NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """All pairs of a block of images with a block of the gallery: squared distances and correlations [16, a, b]."""

    squared: Floats
    correlation: Floats


def cut(images: Thumbnails) -> Tiles:
    """Tiles of thumbnails uint8 [n, 64, 64, 3]."""
    n, side = len(images), SIDE // GRID
    split = images.reshape(n, GRID, side, GRID, side, 3).transpose(1, 3, 0, 2, 4, 5)
    pixels = split.reshape(GRID * GRID, n, side * side * 3).astype(np.float32) / np.float32(255)
    return Tiles(pixels, pixels.mean(2), pixels.std(2))


def pairs(a: Tiles, b: Tiles) -> Block:
    """Mean squared distance, and correlation, of every pair of tiles at one place.

    A tile that is flat on either side has correlation 0: agreement on a blank background says nothing.
    """
    p = a.pixels.shape[2]
    product = a.pixels @ b.pixels.transpose(0, 2, 1) / p
    square_a = (a.mean**2 + a.spread**2)[:, :, None]
    square_b = (b.mean**2 + b.spread**2)[:, None]
    covariance = product - a.mean[:, :, None] * b.mean[:, None]
    spread = a.spread[:, :, None] * b.spread[:, None]
    structured = (a.spread > FLAT)[:, :, None] & (b.spread > FLAT)[:, None]
    correlation = np.where(structured, covariance / np.maximum(spread, 1e-12), 0)
    return Block(np.clip(square_a + square_b - 2 * product, 0, None), np.clip(correlation, -1, 1))


def local_similarity(correlation: Floats) -> Floats:
    """Mean of the better half of the tiles' correlations [16, a, b]: [a, b]."""
    best = np.partition(correlation, GRID * GRID - BEST, axis=0)[GRID * GRID - BEST :]
    return np.asarray(best.mean(axis=0), dtype=np.float32)


def carlini_ratio(distances: Floats, n: int = NEAREST, alpha: float = ALPHA) -> Floats:
    """d_1 / (alpha mean of the n smallest), the nearest included (arXiv 2301.13188, section 5.1).

    Args:
        distances: to every training image, [g, t]; n shrinks to t where there are fewer.
        n: neighbours in the mean.
        alpha: of the definition.

    Returns:
        float32 [g]; 0 for an exact copy, 1 / alpha where all are equally far.
    """
    n = min(n, distances.shape[1])
    nearest = np.partition(distances, n - 1, axis=1)[:, :n].astype(np.float64)
    mean = nearest.mean(axis=1)
    ratio = nearest.min(axis=1) / (alpha * np.where(mean > 0, mean, 1))
    return ratio.astype(np.float32)


def slices(n: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` rows that cover n rows."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def part(tiles: Tiles, rows: slice) -> Tiles:
    """The tiles of some images."""
    return Tiles(tiles.pixels[:, rows], tiles.mean[:, rows], tiles.spread[:, rows])


def closest(
    images: Thumbnails, gallery: Thumbnails, progress: Callable[[int], None] | None = None
) -> Closest:
    """Compare every image with every gallery image.

    Args:
        images: uint8 [n, 64, 64, 3].
        gallery: uint8 [m, 64, 64, 3], at least one.
        progress: called with the number of images done.
    """
    found: list[Closest] = []
    for rows in slices(len(images), ROWS):
        found.append(closest_block(cut(images[rows]), gallery))
        if progress:
            progress(rows.stop)
    if not found:
        none = np.zeros(0, dtype=np.float32)
        return Closest(none, none, none, np.zeros(0, dtype=np.int64))
    return Closest(*(np.concatenate(column) for column in zip(*found, strict=True)))


def local_of_pairs(images: Thumbnails, gallery: Thumbnails, ids: NDArray[np.int64]) -> Floats:
    """Local similarity of each image to some gallery images alone: ids int64 [n, k] -> float32 [n, k]."""
    found = np.empty(ids.shape, dtype=np.float32)
    for row, (image, chosen) in enumerate(zip(images, ids, strict=True)):
        found[row] = local_similarity(pairs(cut(image[None]), cut(gallery[chosen])).correlation)[0]
    return found


def closest_block(tiles: Tiles, gallery: Thumbnails) -> Closest:
    """``closest`` for a block of images; the gallery's tiles are cut block by block."""
    n, m = tiles.mean.shape[1], len(gallery)
    whole, tiled, local = (np.empty((n, m), dtype=np.float32) for _ in range(3))
    for columns in slices(m, COLUMNS):
        block = pairs(tiles, cut(gallery[columns]))
        whole[:, columns] = np.sqrt(block.squared.mean(axis=0))
        tiled[:, columns] = np.sqrt(block.squared.max(axis=0))
        local[:, columns] = local_similarity(block.correlation)
    return Closest(carlini_ratio(whole), tiled.min(axis=1), local.max(axis=1), local.argmax(axis=1))
