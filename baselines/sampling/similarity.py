"""Differentiable similarity of latents to their nearest training image, for ``amg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from baselines.sampling.pairs import norms
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.errors import ConfigError
from replication_bench.method import Context
from replication_bench.search import nearest

SIMILARITIES = ("latents", "images", "embedder")
CHUNK = 32

Rows = NDArray[np.float32]


class Similarity(Protocol):
    """Latents float [n, c, h, w] -> similarity float [n], differentiable, and the nearest training index of each."""

    def __call__(self, latents: Tensor) -> tuple[Tensor, list[int]]:
        """See the class."""
        ...


def check_similarity(kind: str, ctx: Context) -> None:
    """Raise where there can be no similarity called ``kind``.

    Raises:
        ConfigError: there is no training set, or an embedder that gives no gradients.
    """
    if ctx.training is None or not len(ctx.training):
        raise ConfigError(
            "amg needs the training set", hint="Name the dataset that the model was trained on."
        )
    if kind == "embedder" and not getattr(ctx.embedder, "differentiable", False):
        raise ConfigError(
            f"the embedder '{getattr(ctx.embedder, 'name', None)}' gives no gradients",
            where="methods.amg.similarity",
            want="latents, images, or a differentiable embedder",
        )


def new_similarity(kind: str, ctx: Context, neighbours: int, alpha: float) -> Similarity:
    """The similarity called ``kind`` to ``ctx.training``.

    Raises:
        ConfigError: see ``check_similarity``.
    """
    check_similarity(kind, ctx)
    assert ctx.training is not None
    if kind == "embedder":
        return Embedded(ctx)
    return NormalisedL2(ctx.training, features(kind, ctx.backbone), ctx.backbone, neighbours, alpha)


def features(kind: str, backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """Latents to flat rows of themselves or of their images."""
    return (
        (lambda latents: latents.flatten(1)) if kind == "latents" else lambda z: backbone.decode(z).flatten(1)
    )


def rows_of(data: Examples, kind: Callable[[Tensor], Tensor], backbone: Backbone) -> Tensor:
    """Features of all training images as the model sees them, after the VAE; float [m, d]."""
    parts = []
    for start in range(0, len(data), CHUNK):
        chunk = range(start, min(start + CHUNK, len(data)))
        images = torch.stack([backbone.to_tensor(data[index].load()) for index in chunk])
        with torch.no_grad():
            parts.append(kind(backbone.encode_images(images)))
    return torch.cat(parts)


def lifted(rows: Rows, gallery: bool) -> Rows:
    """Rows with one more column, so that the largest inner product is the smallest Euclidean distance."""
    last = -np.square(rows).sum(1, keepdims=True) / 2 if gallery else np.ones((len(rows), 1), np.float32)
    return np.concatenate([rows, last.astype(np.float32)], axis=1)


class NormalisedL2:
    """``-l2(x, n_0) / (alpha * mean l2 to the k nearest)`` (arXiv 2404.00922, equation 8)."""

    def __init__(
        self,
        data: Examples,
        kind: Callable[[Tensor], Tensor],
        backbone: Backbone,
        neighbours: int,
        alpha: float,
    ):
        self.kind, self.alpha, self.neighbours = kind, alpha, min(neighbours, len(data))
        self.rows = rows_of(data, kind, backbone)
        self.gallery = lifted(self.rows.float().cpu().numpy(), gallery=True)

    def __call__(self, latents: Tensor) -> tuple[Tensor, list[int]]:
        """See ``Similarity``."""
        rows = self.kind(latents)
        queries = lifted(rows.detach().float().cpu().numpy(), gallery=False)
        ids = torch.from_numpy(nearest(queries, self.gallery, self.neighbours).ids).to(rows.device)
        # sample by sample: all neighbours of a batch together would not fit for large images
        distances = torch.stack(
            [norms(self.rows[found] - mine) for found, mine in zip(ids, rows, strict=True)]
        )
        closest, place = distances.min(1)
        value = -closest / (self.alpha * distances.mean(1))
        return value, ids.gather(1, place[:, None])[:, 0].tolist()


class Embedded:
    """``E(x) . E(n_0)`` under the run's embedder (arXiv 2404.00922, equation 9)."""

    def __init__(self, ctx: Context):
        self.embedder: Any = ctx.embedder
        assert ctx.training is not None
        assert ctx.vectors is not None
        self.backbone, self.gallery = ctx.backbone, ctx.vectors(ctx.training)

    def __call__(self, latents: Tensor) -> tuple[Tensor, list[int]]:
        """See ``Similarity``."""
        images = self.backbone.decode(latents).clamp(-1, 1)
        rows = functional.normalize(self.embedder.encode_tensor(images).float(), dim=1)
        ids = nearest(rows.detach().cpu().numpy(), self.gallery, 1).ids[:, 0]
        found = torch.from_numpy(self.gallery[ids]).to(rows)
        return (rows * found).sum(1), ids.tolist()
