"""What is kept of an image itself: a thumbnail and how complex it is, computed once for each content."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from replication_bench.metrics.metric import Complexity
from replication_bench.metrics.tiles import SIDE, Thumbnails
from replication_bench.store import cache_folder, read_arrays, write_arrays

VERSION = 1


@dataclass(frozen=True)
class Images:
    """How to open a set of images.

    Attributes:
        load: opens the i-th image, RGB.
        count: how many there are.
        contents: one hash an image that names everything its pixels depend on; None where nothing may be cached.
    """

    load: Callable[[int], Image.Image]
    count: int
    contents: Sequence[str] | None = None


class Looks(NamedTuple):
    """What is kept of each image: a thumbnail uint8 [n, 64, 64, 3], and how complex it is."""

    thumbnails: Thumbnails
    complexity: Complexity


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """The image squashed to 64 x 64: uint8 [64, 64, 3]."""
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))


def complexity_of(image: Image.Image) -> tuple[float, float, float]:
    """Grey-level entropy in bits, JPEG size at quality 90 in kB, mean absolute difference of neighbours."""
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    shares = np.bincount(grey.ravel(), minlength=256) / grey.size
    shares = shares[shares > 0]
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=90)
    steps = np.abs(np.diff(grey, axis=0)).sum() + np.abs(np.diff(grey, axis=1)).sum()
    return float(-(shares * np.log2(shares)).sum()), buffer.tell() / 1000, float(steps / grey.size)


def look(images: Images, progress: Callable[[int], None]) -> Looks:
    """Open every image once."""
    small = np.zeros((images.count, SIDE, SIDE, 3), dtype=np.uint8)
    numbers = np.zeros((images.count, 3))
    for i in range(images.count):
        image = images.load(i)
        small[i], numbers[i] = thumbnail(image), complexity_of(image)
        progress(i + 1)
    return Looks(small, Complexity(*numbers.T))


def look_cached(images: Images, progress: Callable[[int], None]) -> Looks:
    """As ``look``, computed once for each content."""
    if images.contents is None:
        return look(images, progress)
    key = hashlib.sha256(json.dumps([VERSION, SIDE, *images.contents]).encode()).hexdigest()
    path = cache_folder() / "looks" / f"{key}.npz"
    kept = read_arrays(path, "thumbnails", "numbers")
    if kept is not None and len(kept[0]) == images.count:
        progress(images.count)
        return Looks(kept[0], Complexity(*kept[1].T))
    found = look(images, progress)
    one = found.complexity
    numbers = np.stack([one.entropy, one.jpeg_kb, one.variation], axis=1)
    write_arrays(path, thumbnails=found.thumbnails, numbers=numbers)
    return found
