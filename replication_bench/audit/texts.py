"""How well the generated images of an audit fit the prompts that were given with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replication_bench.audit.embedding import Embed, embedding
from replication_bench.audit.index import Index
from replication_bench.audit.indexing import cached_index
from replication_bench.audit.request import Place, Role
from replication_bench.config import NamedOptions
from replication_bench.embedders import parse
from replication_bench.embedders.protocol import ImageTextEmbedder
from replication_bench.metrics.metric import Alignment
from replication_bench.sources.source import Source
from replication_bench.statistics.measuring import Step

NO_PROMPTS = "no prompts were given; see --prompts"
SAVED = "the generated images are a saved index, which holds no vectors of an image-text model"


@dataclass(frozen=True)
class Texts:
    """The image-text embedder of an audit.

    Attributes:
        embedder: None where there is none.
        why: why there is none.
        chosen: name and options that make it again.
    """

    embedder: ImageTextEmbedder | None
    why: str = ""
    chosen: NamedOptions | None = None

    def index(self, place: Source, role: Role, step: Step, embed: Embed) -> Index:
        """Its vectors of a set, from the cache where they are there."""
        assert self.embedder is not None, "asked only where there is one"
        assert self.chosen is not None, "given with it"
        advance = step(f"{self.embedder.name}: embed {role}", len(place.entries))
        return cached_index(place, self.chosen, self.embedder, advance, embed)

    def align(self, places: Mapping[Role, Place], step: Step, workers: int = 1) -> Alignment | str:
        """Cosines of the generated images with their prompts, and of captioned training images with their captions."""
        generated = places["generated"]
        if self.embedder is None or self.chosen is None or not isinstance(generated, Source):
            return self.why
        with embedding(self.chosen, self.embedder, workers) as embed:
            return self.aligned(generated, places["train"], step, embed)

    def aligned(self, generated: Source, train: Place, step: Step, embed: Embed) -> Alignment:
        """See ``align``."""
        from replication_bench.alignment import align

        assert self.embedder is not None, "asked only where there is one"
        made = self.index(generated, "generated", step, embed)
        prompts = [row.captions[0] if row.captions else "" for row in made.rows]
        if not isinstance(train, Source) or not captioned(train):
            return align(self.embedder, np.asarray(made.vectors), prompts)
        real = self.index(train, "train", step, embed)
        captions = [row.captions[0] if row.captions else "" for row in real.rows]
        return align(self.embedder, np.asarray(made.vectors), prompts, np.asarray(real.vectors), captions)


def captioned(source: Source) -> bool:
    """Whether an image has a caption or prompt."""
    return any(entry.captions for entry in source.entries)


def choose(places: Mapping[Role, Place], name: str) -> Texts:
    """The image-text embedder of ``measure.alignment``, loaded only where there are prompts.

    Raises:
        ReplbenchError: see ``spaces.choose_texts``.
    """
    generated = places["generated"]
    if not isinstance(generated, Source):
        return Texts(None, SAVED)
    if not captioned(generated):
        return Texts(None, NO_PROMPTS)
    from replication_bench.spaces import (  # which needs torch where there are weights
        AUTO,
        POCKET,
        choose_texts,
    )

    embedder, why = choose_texts(name)
    if embedder is None:
        return Texts(None, why)
    asked, options = parse(POCKET if name == AUTO else name)
    return Texts(embedder, why, NamedOptions(name=asked, options=options))
