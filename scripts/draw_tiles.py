"""Draw a captioned set of tiles that belong to nobody: the pictures of the published report.

    scripts/draw_tiles.py FOLDER [COUNT [REPEATED]]

Every tile is a motif in one colour on another; the last ones are near-duplicates of the first ones.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from replication_bench.testing.tiny import near_duplicate

SIDE, SCALE = 64, 4
BIG = SIDE * SCALE
COLOURS = {
    "navy": "#1d3557",
    "teal": "#2a9d8f",
    "gold": "#e9c46a",
    "rust": "#e76f51",
    "cream": "#f6f1e5",
    "plum": "#6d3b6e",
    "sky": "#8ecae6",
    "moss": "#606c38",
}
Pen = ImageDraw.ImageDraw
Motif = Callable[[Pen, str, np.random.Generator], None]


def around(n: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """``n`` points on a circle about the middle."""
    angles = [turn + 2 * math.pi * i / n for i in range(n)]
    return [(BIG / 2 + radius * math.cos(a), BIG / 2 + radius * math.sin(a)) for a in angles]


def disc(pen: Pen, x: float, y: float, radius: float, ink: str) -> None:
    """A filled circle."""
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def rings(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    x, y = rng.uniform(0.3, 0.7, 2) * BIG
    for radius in range(BIG // 12, BIG, BIG // 7):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=BIG // 24)


def stripes(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    slope, step = rng.uniform(-1.5, 1.5), int(rng.integers(BIG // 9, BIG // 5))
    for x in range(-2 * BIG, 3 * BIG, step):
        pen.line((x, 0, x + slope * BIG, BIG), fill=ink, width=step // 2)


def checks(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    n = int(rng.integers(3, 7))
    side = BIG / n
    for row, column in product(range(n), range(n)):
        if (row + column) % 2:
            pen.rectangle((column * side, row * side, (column + 1) * side, (row + 1) * side), fill=ink)


def star(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    n, turn = int(rng.integers(4, 9)), rng.uniform(0, 2)
    outer, inner = around(n, BIG * 0.46, turn), around(n, BIG * rng.uniform(0.14, 0.26), turn + math.pi / n)
    pen.polygon([point for pair in zip(outer, inner, strict=True) for point in pair], fill=ink)


def dots(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    for x, y, radius in rng.uniform((0, 0, 0.03), (1, 1, 0.13), (int(rng.integers(8, 16)), 3)) * BIG:
        disc(pen, x, y, radius, ink)


def waves(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    height, length, step = rng.uniform(0.03, 0.09) * BIG, rng.uniform(0.25, 0.7) * BIG, BIG // 5
    for y in range(0, BIG + step, step):
        points = [(x, y + height * math.sin(2 * math.pi * x / length)) for x in range(0, BIG + 8, 8)]
        pen.line(points, fill=ink, width=BIG // 18, joint="curve")


def petals(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    n = int(rng.integers(5, 10))
    for x, y in around(n, BIG * 0.27, rng.uniform(0, 2)):
        disc(pen, x, y, BIG * 0.9 / n, ink)
    disc(pen, BIG / 2, BIG / 2, BIG * 0.1, ink)


def mountains(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    tops = rng.uniform(0.15, 0.7, 5) * BIG
    points = [(i * BIG / 4, top if i % 2 else BIG * 0.85) for i, top in enumerate(tops)]
    pen.polygon([(0, BIG), *points, (BIG, BIG)], fill=ink)
    disc(pen, rng.uniform(0.2, 0.8) * BIG, BIG * 0.14, BIG * 0.08, ink)


def spiral(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    turns, start = rng.uniform(2.2, 4), rng.uniform(0, 6)
    steps = np.linspace(0.02, 1, 300)
    points = [
        (
            BIG / 2 + 0.46 * BIG * s * math.cos(start + turns * 2 * math.pi * s),
            BIG / 2 + 0.46 * BIG * s * math.sin(start + turns * 2 * math.pi * s),
        )
        for s in steps
    ]
    pen.line(points, fill=ink, width=BIG // 16, joint="curve")


def bricks(pen: Pen, ink: str, rng: np.random.Generator) -> None:
    rows = int(rng.integers(4, 8))
    height, width = BIG / rows, BIG / rng.uniform(1.6, 3.4)
    for row in range(rows):
        for column in range(-1, 5):
            x = (column + 0.5 * (row % 2)) * width
            box = (x + 5, row * height + 5, x + width - 5, (row + 1) * height - 5)
            pen.rounded_rectangle(box, 10, fill=ink)


MOTIFS: tuple[Motif, ...] = (rings, stripes, checks, star, dots, waves, petals, mountains, spiral, bricks)


def tiles(count: int, seed: int = 0) -> list[tuple[Image.Image, str]]:
    """``count`` tiles with captions, no two captions alike."""
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a, b in product(COLOURS, COLOURS) if a != b]
    plans = [(motif, ink, paper) for motif in MOTIFS for ink, paper in pairs]
    drawn = []
    for index in rng.permutation(len(plans))[:count]:
        motif, ink, paper = plans[index]
        image = Image.new("RGB", (BIG, BIG), COLOURS[paper])
        motif(ImageDraw.Draw(image), COLOURS[ink], rng)
        small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        drawn.append((small, f"{ink} {motif.__name__} on {paper}"))
    return drawn


def write_tiles(folder: Path, count: int = 160, repeated: int = 8, copies: int = 3, seed: int = 0) -> None:
    """Write ``count`` tiles, the first ``repeated`` of them with ``copies`` near-duplicates each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed + 1)
    drawn = tiles(count, seed)
    drawn += [
        (near_duplicate(image, rng), caption) for image, caption in drawn[:repeated] for _ in range(copies)
    ]
    for index, (image, caption) in enumerate(drawn):
        image.save(folder / f"{index:03d}.png")
        (folder / f"{index:03d}.txt").write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_tiles(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
