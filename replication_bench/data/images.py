"""Image files: found in a stated order, read as upright RGB on white whatever their format, grouped by likeness."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from replication_bench.data.example import Embed
from replication_bench.data.others import is_hidden, others_in
from replication_bench.duplicates import connected
from replication_bench.embedders.protocol import Vectors
from replication_bench.errors import DataError

EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
THREADS = 4
BATCH = 64
NaturalKey = tuple[list[str | int], str]


def natural_key(text: str) -> NaturalKey:
    """Sort key that compares runs of digits as numbers and ignores case: ``9.png`` before ``10.png``."""
    tokens = re.split(r"(\d+)", text.casefold())
    # split() puts the digits at odd places, so unlike types never meet; the text itself breaks ties (1 and 01)
    return [int(token) if place % 2 else token for place, token in enumerate(tokens)], text


def is_image_name(path: Path) -> bool:
    """Whether the relative ``path`` has an image's extension and is not hidden."""
    return path.suffix.lower() in EXTENSIONS and not is_hidden(path)


def existing_folder(folder: str | Path) -> Path:
    """``folder`` as a path.

    Raises:
        DataError: it does not exist or is a file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise DataError("not a folder of images", where=folder, got=found, want="an existing folder")
    return folder


def leads_nowhere(path: Path) -> bool:
    """Whether ``path`` is a link to nothing."""
    return path.is_symlink() and not path.exists()


def os_reason(path: Path, error: OSError) -> str:
    """Why a file cannot be opened; where it is a link to nothing, what it should lead to."""
    return f"a link to nothing: {path.readlink()}" if leads_nowhere(path) else error.strerror or str(error)


def list_images(folder: str | Path) -> list[Path]:
    """Every image file below ``folder``, hidden files and folders left out, in natural order of relative paths.

    A link to nothing is listed too: whoever reads it refuses or skips it with its reason.

    Raises:
        DataError: the folder does not exist, or holds no image.
    """
    folder = existing_folder(folder)
    relative = (
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or leads_nowhere(path)
    )
    found = sorted(filter(is_image_name, relative), key=lambda path: natural_key(path.as_posix()))
    if not found:
        want = "files ending in " + " ".join(sorted(EXTENSIONS))
        raise DataError("the folder holds no images", where=folder, got=others_in(folder) or None, want=want)
    return [folder / path for path in found]


def eight_bits(image: Image.Image) -> Image.Image:
    """Integer greyscale images as mode L by their high byte, as Pillow reads 16-bit colour; others unchanged.

    Raises:
        ValueError: floating-point or 32-bit values, whose range no format states.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels have no stated range")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("32-bit pixels have no stated range")
    return Image.fromarray((values >> 8).astype(np.uint8))


def flattened(image: Image.Image) -> Image.Image:
    """Any mode as RGB, transparency and palettes laid on white."""
    image = eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")


class Picture(NamedTuple):
    """A decoded file: RGB at its stored size, upright, on white; ``frames`` above 1 for an animation's first frame."""

    image: Image.Image
    frames: int


def decode_image(data: bytes, where: object) -> Picture:
    """Decode the bytes of an image file; ``where`` names it in the error.

    Raises:
        DataError: the bytes are truncated or no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            frames = int(getattr(image, "n_frames", 1))
            image.seek(0)  # counting the frames of a broken animation may leave the first
            return Picture(flattened(ImageOps.exif_transpose(image)), frames)
    # broken bytes make Pillow's decoders raise nearly anything: OSError, SyntaxError, struct.error, IndexError
    except Exception as error:
        raise unreadable(where, error) from error


def unreadable(where: object, error: Exception) -> DataError:
    """The error for a file that is no image; what Pillow says of its own buffers is left out."""
    said = "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)
    return DataError(
        "the image cannot be read",
        where=where,
        got=f"{type(error).__name__}: {said}",
        hint="Replace or remove the file.",
    )


def read_image(path: str | Path) -> Image.Image:
    """Decode a file: RGB at its stored size, upright, on white; the first frame of an animation.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        hint = "Replace or remove the file."
        got = os_reason(Path(path), error)
        raise DataError("the image cannot be read", where=path, got=got, hint=hint) from error
    return decode_image(data, path).image


def read_error(path: Path) -> DataError | None:
    """What is wrong with an image file; None if it decodes in full."""
    try:
        read_image(path)
    except DataError as error:
        return error
    return None


def verify_images(paths: Sequence[Path]) -> None:
    """Decode every file in full, so that a broken one is known before a run and not during it.

    Raises:
        DataError: at least one cannot be read; names the first in the given order and counts them all.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        errors = [error for error in pool.map(read_error, paths) if error is not None]
    if errors:
        raise DataError(f"{len(errors)} of {len(paths)} images are broken; first: {errors[0]}") from errors[0]


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        DataError: the file cannot be opened.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError("the file cannot be read", where=path, got=error.strerror) from error


def embedded(loaders: Sequence[Callable[[], Image.Image]], embed: Embed) -> Vectors:
    """Vectors float32 [n, d]; at most ``BATCH`` images are in memory at once."""
    batches = (loaders[start : start + BATCH] for start in range(0, len(loaders), BATCH))
    return np.concatenate([embed([load() for load in batch]) for batch in batches])


def duplicate_groups(
    loaders: Mapping[str, Callable[[], Image.Image]], embed: Embed | None, threshold: float
) -> list[list[str]]:
    """Images, named by their file hash, in groups of near-duplicates: chains of pairs above ``threshold``.

    Args:
        loaders: opens an image, by SHA-256 of its file.
        embed: images to unit vectors; None makes every hash a group of its own.
        threshold: cosine similarity in [-1, 1].
    """
    # in the order of hashes: equal files give equal batches, and so equal vectors, whatever the files' names
    hashes = sorted(loaders)
    if embed is None:
        return [[name] for name in hashes]
    return groups_of(hashes, connected(embedded([loaders[h] for h in hashes], embed), threshold))


def groups_of(names: Sequence[str], labels: Sequence[int]) -> list[list[str]]:
    """The names in groups of equal labels."""
    groups: dict[int, list[str]] = {}
    for name, label in zip(names, labels, strict=True):
        groups.setdefault(label, []).append(name)
    return list(groups.values())


def choose_groups(groups: Sequence[Sequence[str]], share: float) -> frozenset[str]:
    """The hashes of ``share`` of the groups, at least one, chosen by hashes alone."""
    ordered = sorted(groups, key=lambda group: hashlib.sha256("".join(sorted(group)).encode()).hexdigest())
    return frozenset(name for group in ordered[: max(1, round(share * len(groups)))] for name in group)
