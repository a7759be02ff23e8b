"""How well images fit their texts: the cosine between an image's and its text's vector in one image-text space.

Only OpenAI's and OpenCLIP's models give a *CLIP score*; the score of ``pocket-clip`` is named for what it is. The scale
is the cosine, -1 to 1; torchmetrics prints ``max(100 * cosine, 0)``. Hessel et al. 2021 (arXiv 2104.08718).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication_bench.embedders.protocol import ImageTextEmbedder, Vectors
from replication_bench.errors import ConfigError, DataError


@dataclass(frozen=True)
class Alignment:
    """Scores of images against their own texts.

    Attributes:
        name: what the score is called: embedder and protocol.
        scores: float32 [n], cosine.
        cut: how many texts were longer than the text tower reads.
    """

    name: str
    scores: NDArray[np.float32]
    cut: int

    @property
    def mean(self) -> float | None:
        """Mean cosine; None for no images."""
        return float(self.scores.mean(dtype=np.float64)) if len(self.scores) else None


def score_name(embedder: ImageTextEmbedder) -> str:
    """``CLIP score (ViT-B-16 openai)``, or ``text alignment (pocket-clip)`` for a model that is not CLIP."""
    kind = "CLIP score" if embedder.name == "open-clip" else "text alignment"
    return f"{kind} ({embedder.protocol.name})"


def require_texts(embedder: object) -> ImageTextEmbedder:
    """``embedder``, where it has a text tower.

    Raises:
        ConfigError: it has none.
    """
    if isinstance(embedder, ImageTextEmbedder):
        return embedder
    name = getattr(embedder, "name", type(embedder).__name__)
    hint = "Use open-clip or pocket-clip."
    raise ConfigError(f"the embedder '{name}' has no text tower", want="an image-text embedder", hint=hint)


def align(embedder: ImageTextEmbedder, images: Vectors, texts: Sequence[str]) -> Alignment:
    """Scores of images, as vectors [n, dim] of ``embedder``, against the n texts that belong to them.

    Raises:
        DataError: unlike numbers of images and texts.
    """
    if len(images) != len(texts):
        raise DataError("every image needs one text", got=f"{len(images)} images, {len(texts)} texts")
    distinct = list(dict.fromkeys(texts))
    rows = embedder.texts(distinct)[[distinct.index(text) for text in texts]] if texts else images
    scores = np.einsum("nd,nd->n", images, rows, dtype=np.float32)
    return Alignment(score_name(embedder), scores, embedder.count_cut(texts))
