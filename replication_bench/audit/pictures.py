"""Opening the images of a set again by id, for pictures of pairs; a saved index may have outlived its images."""

from __future__ import annotations

from functools import cached_property

from PIL import Image, ImageDraw

from replication_bench.audit.index import Index
from replication_bench.audit.request import Place
from replication_bench.errors import ReplbenchError
from replication_bench.sources.opening import open_source
from replication_bench.sources.source import Entry

SIDE = 128


def placeholder() -> Image.Image:
    """What stands for an image that is no longer there."""
    image = Image.new("RGB", (SIDE, SIDE), "#e8e8e8")
    ImageDraw.Draw(image).text((SIDE // 2, SIDE // 2), "not at hand", fill="#5c5c5c", anchor="mm")
    return image


class Opener:
    """Opens an image by id; one that cannot be opened any more is a grey tile."""

    def __init__(self, place: Place):
        self.place = place

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Entries by id; none where the images of an index are gone."""
        try:
            source = open_source(self.place.facts.source) if isinstance(self.place, Index) else self.place
        except ReplbenchError:
            return {}
        return {entry.id: entry for entry in source.entries}

    def __call__(self, id: str) -> Image.Image:
        """The image as RGB."""
        try:
            return self.entries[id].open()
        except (KeyError, ReplbenchError):
            return placeholder()
