"""Whether bytes that arrived are an image that may be used, judged by their content alone."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from replication_bench.data.images import decode_image
from replication_bench.errors import DataError

EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}


@dataclass(frozen=True)
class Limits:
    """What an image must keep to; see ``Preparation``."""

    min_side: int
    max_aspect: float
    max_pixels: int


@dataclass(frozen=True)
class Arrived:
    """An image that may be used: the hash and size of its file, its sides in pixels, its extension."""

    sha256: str
    bytes: int
    width: int
    height: int
    extension: str


def size_fault(width: int, height: int, limits: Limits) -> str:
    """What is wrong with an image's sides; empty where nothing is."""
    if width * height > limits.max_pixels:
        return f"more than {limits.max_pixels} pixels"
    if min(width, height) < limits.min_side:
        return f"a side below {limits.min_side} pixels"
    if limits.max_aspect and max(width, height) > limits.max_aspect * min(width, height):
        return f"sides beyond {limits.max_aspect:g} to 1"
    return ""


def judge(data: bytes, limits: Limits) -> Arrived | str:
    """The image in ``data``, or why it cannot be used; its sides are known before it is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels decides
            with Image.open(io.BytesIO(data)) as image:
                form, (width, height) = image.format or "", image.size
            if fault := size_fault(width, height, limits):
                return fault
            decode_image(data, "image")
    except (UnidentifiedImageError, DataError):
        return "an image that cannot be decoded" if known_format(data) else "no known image format"
    except Image.DecompressionBombError:
        return f"more than {limits.max_pixels} pixels"
    # broken headers make Pillow raise nearly anything
    except Exception:
        return "an image that cannot be decoded"
    if form not in EXTENSIONS:
        return f"the image format {form} is not read"
    return Arrived(hashlib.sha256(data).hexdigest(), len(data), width, height, EXTENSIONS[form])


def known_format(data: bytes) -> bool:
    """Whether the head of ``data`` is that of an image."""
    try:
        with Image.open(io.BytesIO(data)):
            return True
    except Exception:
        return False
