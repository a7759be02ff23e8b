"""The images of an audit's sets, opened again by their rows, and how alike single pairs are tile by tile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from numpy.typing import NDArray
from PIL import Image

from replication_bench.audit.index import Index, Row
from replication_bench.audit.pictures import Opener
from replication_bench.audit.request import Place, Role
from replication_bench.errors import DataError
from replication_bench.evidence import Pixels
from replication_bench.looks import Images, look_cached
from replication_bench.metrics.metric import Floats, Ints
from replication_bench.metrics.tiles import local_of_pairs
from replication_bench.sources.source import Entry, picture_of


def open_row(entry: Entry, row: Row) -> Image.Image:
    """The image that was embedded.

    Raises:
        DataError: the file holds something else by now.
    """
    data = entry.read()
    if hashlib.sha256(data).hexdigest() != row.sha256:
        hint = "Run 'replbench index' again."
        raise DataError("the image was changed after it was indexed", where=entry.id, hint=hint)
    return picture_of(data, entry.id)[0]


def images_of(place: Place, index: Index) -> Images | str:
    """Access to the images of a set in the order of its rows, or why there is none."""
    entries = Opener(place).entries
    gone = [row.id for row in index.rows if row.id not in entries]
    if gone:
        return f"images of the saved index are not at hand: {len(gone)} of {len(index.rows)}, first {gone[0]}"
    rows = index.rows
    return Images(lambda i: open_row(entries[rows[i].id], rows[i]), len(rows), [row.sha256 for row in rows])


def pixels_of(places: Mapping[Role, Place], sets: Mapping[Role, Index]) -> Pixels | str:
    """Access to all images, or why there is none."""
    found = {role: images_of(places[role], index) for role, index in sets.items()}
    missing = next((why for why in found.values() if isinstance(why, str)), None)
    return missing or Pixels(**{str(role): images for role, images in found.items()})  # type: ignore[arg-type]


def local_of(pixels: Pixels, ids: Ints) -> Floats:
    """Local similarity of every generated image to some training images: ids int64 [g, k] -> float32 [g, k]."""
    generated, train = (look_cached(one, lambda done: None) for one in (pixels.generated, pixels.train))
    found: NDArray = local_of_pairs(generated.thumbnails, train.thumbnails, ids)  # type: ignore[type-arg]
    return found
