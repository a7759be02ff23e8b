from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from replication_bench.alignment import align, require_texts
from replication_bench.embedders.pixels import Pixels
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import ConfigError, DataError


class Directions:
    """``x`` and ``y`` are unit vectors of the plane; every image is ``x``."""

    name, dim, protocol = "pocket-clip", 2, ImageProtocol("pocket-clip", "none")

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        return np.tile(np.array([1, 0], dtype=np.float32), (len(images), 1))

    def texts(self, texts: Sequence[str]) -> Vectors:
        known = {"x": (1, 0), "y": (0, 1), "-x": (-1, 0)}
        return np.array([known[text] for text in texts], dtype=np.float32).reshape(-1, 2)

    def count_cut(self, texts: Sequence[str]) -> int:
        return sum(text == "y" for text in texts)


def test_scores_are_cosines_of_each_image_with_its_own_text() -> None:
    embed = Directions()
    images = embed([Image.new("RGB", (2, 2))] * 4)
    result = align(embed, images, ["x", "y", "-x", "x"])
    np.testing.assert_array_equal(result.values, [1, 0, -1, 1])
    assert (result.truncated, len(result.train)) == (1, 0)
    assert len(align(embed, images[:0], []).values) == 0


def test_an_image_without_a_text_has_no_score_and_training_images_have_their_own() -> None:
    embed = Directions()
    images = embed([Image.new("RGB", (2, 2))] * 2)
    result = align(embed, images, ["", "y"], images, ["x", ""])
    assert np.isnan(result.values).tolist() == [True, False]
    assert np.isnan(result.train).tolist() == [False, True]


def test_a_score_of_another_model_is_not_called_clip_score() -> None:
    embed = Directions()
    assert align(embed, embed([]), []).model == "text alignment (pocket-clip)"
    named = SimpleNamespace(name="open-clip", protocol=ImageProtocol("ViT-B-16 openai", "w"), texts=embed.texts,
                            count_cut=embed.count_cut)  # fmt: skip
    assert align(named, embed([]), []).model == "CLIP score (ViT-B-16 openai)"
    assert align(named, embed([]), []).clip
    assert not align(embed, embed([]), []).clip


def test_an_embedder_without_texts_and_unlike_numbers_are_one_line() -> None:
    embed = Directions()
    assert require_texts(embed) is embed
    with pytest.raises(ConfigError, match="'pixels' has no text tower"):
        require_texts(Pixels())
    with pytest.raises(DataError, match="got 2 images, 1 texts"):
        align(embed, embed([Image.new("RGB", (2, 2))] * 2), ["x"])
