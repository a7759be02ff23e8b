"""Images to latents and captions to text states, each computed once where a method leaves them alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor

from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.method import Batch, Encoded, Method
from replication_bench.seeds import Seeds

TEXTS_KEPT = 50_000
CHUNK = 32
Key = TypeVar("Key", bound=Hashable)


class Remembered(Generic[Key]):
    """Tensors by key, each made at its first use; when ``most`` would be exceeded all are forgotten.

    Args:
        make: one tensor for each of several keys.
        most: how many are kept.
    """

    def __init__(self, make: Callable[[list[Key]], Iterable[Tensor]], most: int):
        self.make, self.most = make, most
        self.known: dict[Key, Tensor] = {}

    def __call__(self, keys: Sequence[Key]) -> Tensor:
        """The tensors of ``keys``, stacked: [n, ...]."""
        new = [key for key in dict.fromkeys(keys) if key not in self.known]
        if len(self.known) + len(new) > self.most:
            self.known.clear()
            new = list(dict.fromkeys(keys))
        if new:
            self.known.update(zip(new, self.make(new), strict=True))
        return torch.stack([self.known[key] for key in keys])


class TextStates(Remembered[str]):
    """Text states float [n, length, width] by caption. At most ``TEXTS_KEPT`` are remembered."""

    def __init__(self, backbone: Backbone):
        super().__init__(backbone.encode_text, TEXTS_KEPT)


class Encoder:
    """Encodes training batches; latents (both flips) are cached unless the method changes images at every draw."""

    def __init__(self, method: Method, data: Examples, backbone: Backbone, flip: float):
        self.method, self.data, self.backbone, self.flip = method, data, backbone, flip
        self.texts = TextStates(backbone)

    @cached_property
    def cached(self) -> tuple[Tensor, Tensor | None] | None:
        """Latents [n, c, h, w] of all images, and of their mirror images where flips can be drawn.

        None where the method changes images at every draw. Made at the first step, so not where nothing is trained.
        """
        if self.method.overrides("image"):
            return None
        plain, mirrored = [], []
        for start in range(0, len(self.data), CHUNK):
            rows = range(start, min(start + CHUNK, len(self.data)))
            images = torch.stack([self.backbone.to_tensor(self.data[row].load()) for row in rows])
            plain.append(self.backbone.encode_images(images))
            if self.flip:
                mirrored.append(self.backbone.encode_images(images.flip(-1)))
        return torch.cat(plain), torch.cat(mirrored) if mirrored else None

    def encode(self, batch: Batch, indices: Sequence[int], seeds: Seeds, start: int) -> Encoded:
        """Latents and text states of the draws ``start``, ``start + 1``, ... of the clock."""
        rngs = [seeds.torch("image", start + row) for row in range(len(indices))]
        flips = [bool(torch.rand((), generator=rng) < self.flip) for rng in rngs]
        latents = self.lookup(indices, flips) if self.cached is not None else self.draw(batch, flips, rngs)
        return Encoded(latents, self.texts(batch.captions))

    def lookup(self, indices: Sequence[int], flips: Sequence[bool]) -> Tensor:
        """Cached latents; a flipped draw takes the mirror image's."""
        assert self.cached is not None
        plain, mirrored = self.cached
        rows = [
            mirrored[i] if flip and mirrored is not None else plain[i]
            for i, flip in zip(indices, flips, strict=True)
        ]
        return torch.stack(rows)

    def draw(self, batch: Batch, flips: Sequence[bool], rngs: Sequence[torch.Generator]) -> Tensor:
        """Latents of freshly drawn images."""
        images = []
        for example, flip, rng in zip(batch.examples, flips, rngs, strict=True):
            image = self.backbone.to_tensor(example.load())
            images.append(self.method.image(image.flip(-1) if flip else image, rng))
        return self.backbone.encode_images(torch.stack(images))
