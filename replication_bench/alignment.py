"""How well images fit their texts: the cosine between an image's and its text's vector in one image-text space.

Only OpenAI's and OpenCLIP's models give a *CLIP score*; the score of ``pocket-clip`` is named for what it is. The scale
is the cosine, -1 to 1; torchmetrics prints ``max(100 * cosine, 0)``. Hessel et al. 2021 (arXiv 2104.08718).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replication_bench.embedders.protocol import ImageTextEmbedder, Vectors
from replication_bench.errors import ConfigError, DataError
from replication_bench.metrics.metric import NO_FLOATS, Alignment, Floats

CLIP = "open-clip"


def score_name(embedder: ImageTextEmbedder) -> str:
    """``CLIP score (ViT-B-16 openai)``, or ``text alignment (pocket-clip)`` for a model that is not CLIP."""
    kind = "CLIP score" if embedder.name == CLIP else "text alignment"
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


def cosines(embedder: ImageTextEmbedder, images: Vectors, texts: Sequence[str]) -> Floats:
    """Cosine of each image, as vectors [n, dim] of ``embedder``, with its own text: float32 [n]; NaN for an empty text.

    Raises:
        DataError: unlike numbers of images and texts.
    """
    if len(images) != len(texts):
        raise DataError("every image needs one text", got=f"{len(images)} images, {len(texts)} texts")
    known = {text: row for row, text in enumerate(dict.fromkeys(filter(None, texts)))}
    scores = np.full(len(texts), np.nan, dtype=np.float32)
    given = [place for place, text in enumerate(texts) if text]
    if given:
        rows = embedder.texts(list(known))[[known[texts[place]] for place in given]]
        scores[given] = np.einsum("nd,nd->n", images[given], rows, dtype=np.float32)
    return scores


def align(
    embedder: ImageTextEmbedder,
    images: Vectors,
    texts: Sequence[str],
    train: Vectors | None = None,
    captions: Sequence[str] = (),
) -> Alignment:
    """How well generated images fit their prompts, and training images their captions.

    Args:
        embedder: with both towers.
        images: its vectors of the generated images, [g, dim].
        texts: the prompt of each; empty where there is none.
        train: its vectors of the training images, [t, dim], where they are known.
        captions: the caption of each training image.

    Raises:
        DataError: unlike numbers of images and texts.
    """
    return Alignment(
        values=cosines(embedder, images, texts),
        model=score_name(embedder),
        clip=embedder.name == CLIP,
        train=NO_FLOATS if train is None else cosines(embedder, train, captions),
        truncated=embedder.count_cut([text for text in texts if text]),
        embedder=embedder.name,
        protocol=embedder.protocol.hash,
    )
