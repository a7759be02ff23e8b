"""Images to latents and captions to text states, each computed once where a method leaves them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import torch
from torch import Tensor

from replication_bench import machine
from replication_bench.acceleration import sent
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.kept import Remembered as Remembered
from replication_bench.kept import Stored, address
from replication_bench.method import Batch, Encoded, Method
from replication_bench.processes import ALONE, Processes
from replication_bench.seeds import Seeds
from replication_bench.store import cache_folder

TEXTS_KEPT = 50_000
TEXTS_BYTES = 4 * 2**30
DEVICE_BYTES = 2 * 2**30
CHUNK = 32
Rows = Tensor | Stored
Step = Callable[[str, int], Callable[[int], None]]  # as of a run's watcher


def unwatched(name: str, total: int) -> Callable[[int], None]:
    """Progress that nobody looks at."""
    return lambda done: None


def in_chunks(make: Callable[[range], Tensor], rows: range) -> Tensor:
    """``make`` of ``CHUNK`` rows at a time, joined."""
    return torch.cat([make(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])


def encoder_facts(backbone: Backbone) -> tuple[str, str]:
    """What the last bits of latents and text states depend on beside what is encoded.

    The model of a GPU is one of them, since devices add in unlike orders. The precision of training is none: VAE and
    text encoder hold float32 weights and run outside autocast.
    """
    return backbone.sha256, machine.device_name(backbone.device.type)


class TextStates(Remembered[str]):
    """Text states float [n, length, width] by caption, as many as ``TEXTS_KEPT`` and ``TEXTS_BYTES`` allow."""

    def __init__(self, backbone: Backbone):
        length, width = backbone.states_shape
        super().__init__(backbone.encode_text, min(TEXTS_KEPT, TEXTS_BYTES // (4 * length * width)))


class StoredTexts:
    """Text states of a data set's first captions on disk; those of other captions are remembered in memory."""

    def __init__(self, backbone: Backbone, data: Examples, step: Step, processes: Processes = ALONE):
        captions = list(dict.fromkeys(["", *(example.captions[0] for example in data)]))
        self.place = {caption: row for row, caption in enumerate(captions)}
        self.others, self.device = TextStates(backbone), backbone.device
        folder = cache_folder() / "encoded" / address("texts", *encoder_facts(backbone), captions)
        self.rows = Stored(folder, len(captions), backbone.states_shape)
        self.rows.fill(
            lambda rows: in_chunks(lambda part: backbone.encode_text([captions[i] for i in part]), rows),
            step("encode captions", len(captions)),
            processes,
        )

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """The states of ``captions``, float [n, length, width]."""
        if all(caption in self.place for caption in captions):
            return sent(torch.stack([self.rows[self.place[caption]] for caption in captions]), self.device)
        return self.others(captions)


class Encoder:
    """Encodes training batches; latents (both flips) are kept unless the method changes images at every draw.

    Args:
        method: whose hook ``image`` may be overridden.
        data: the training set.
        backbone: its VAE and text encoder.
        flip: probability of a horizontal flip.
        cache: ``memory``, ``disk`` or ``none``; see ``TrainSpeed``.
        step: told of the encoding of the whole set.
        processes: that ``warm`` it together; each then holds all of it.
    """

    def __init__(
        self,
        method: Method,
        data: Examples,
        backbone: Backbone,
        flip: float,
        cache: str = "memory",
        step: Step = unwatched,
        processes: Processes = ALONE,
    ):
        self.method, self.data, self.backbone, self.flip = method, data, backbone, flip
        self.cache, self.watch, self.processes = cache, step, processes

    def warm(self) -> None:
        """Encode the whole set now, so that its progress does not fall into that of the first stage.

        Where there are several processes all of them must call this before anything is encoded.
        """
        _ = self.cached, self.texts

    @cached_property
    def texts(self) -> Callable[[Sequence[str]], Tensor]:
        """Captions to text states, float [n, length, width]."""
        if self.cache == "none":
            return self.backbone.encode_text
        if self.cache == "disk":
            return StoredTexts(self.backbone, self.data, self.watch, self.processes)
        return TextStates(self.backbone)

    @cached_property
    def cached(self) -> tuple[Rows, Rows | None] | None:
        """Latents of all images, [n, c, h, w], and of their mirror images where flips can be drawn.

        None where the method changes images at every draw. Made at the first step, so not where nothing is trained.
        """
        if self.cache == "none" or self.method.overrides("image"):
            return None
        if self.cache == "disk":
            return self.stored(False), self.stored(True) if self.flip else None
        return self.in_memory()

    def pixels(self, rows: range) -> Tensor:
        """Images float [n, 3, H, W] of the examples ``rows``."""
        return torch.stack([self.backbone.to_tensor(self.data[row].load()) for row in rows])

    def in_memory(self) -> tuple[Tensor, Tensor | None]:
        """See ``cached``; on the device while they are few. Chunks are the same however many processes share them."""
        channels, height, width = self.backbone.latent_shape
        size = 4 * len(self.data) * channels * height * width * (2 if self.flip else 1)
        device = self.backbone.device if size <= DEVICE_BYTES else torch.device("cpu")
        sent_as = device if self.processes.count == 1 else torch.device("cpu")
        starts = range(0, len(self.data), CHUNK)
        progress = self.watch("encode images", len(self.data))

        def encode(start: int) -> tuple[Tensor, ...]:
            images = self.pixels(range(start, min(start + CHUNK, len(self.data))))
            views = (images, images.flip(-1)) if self.flip else (images,)
            return tuple(self.backbone.encode_images(view).to(sent_as) for view in views)

        parts = self.processes.share(
            starts, encode, lambda chunks: progress(min(chunks * CHUNK, len(self.data)))
        )
        plain, *mirrored = (torch.cat(rows).to(device) for rows in zip(*parts, strict=True))
        return plain, mirrored[0] if mirrored else None

    def stored(self, flip: bool) -> Stored:
        """Latents of all images, or of all mirror images, on disk."""
        backbone = self.backbone
        facts = (*encoder_facts(backbone), backbone.pixels, flip, [example.sha256 for example in self.data])
        latents = Stored(
            cache_folder() / "encoded" / address("latents", *facts), len(self.data), backbone.latent_shape
        )

        def encode(rows: range) -> Tensor:
            images = self.pixels(rows)
            return backbone.encode_images(images.flip(-1) if flip else images)

        latents.fill(
            lambda rows: in_chunks(encode, rows),
            self.watch("encode mirror images" if flip else "encode images", len(self.data)),
            self.processes,
        )
        return latents

    def flips(self, count: int, seeds: Seeds, start: int) -> tuple[list[bool], list[torch.Generator]]:
        """Which of the draws ``start``, ``start + 1``, ... are mirrored, and what is left of their streams."""
        rngs = [seeds.torch("image", start + row) for row in range(count)]
        return [bool(torch.rand((), generator=rng) < self.flip) for rng in rngs], rngs

    def draw(self, batch: Batch, seeds: Seeds, start: int, readers: int = 1) -> Tensor | None:
        """Freshly drawn images float [n, 3, H, W], on the CPU, by so many threads; None where latents are kept."""
        if self.cached is not None or not batch.examples:
            return None
        flips, rngs = self.flips(len(batch.examples), seeds, start)

        def one(row: int) -> Tensor:
            image = self.backbone.to_tensor(batch.examples[row].load())
            return self.method.image(image.flip(-1) if flips[row] else image, rngs[row])

        if readers == 1:
            return torch.stack([one(row) for row in range(len(flips))])
        with ThreadPoolExecutor(readers) as pool:
            return torch.stack(list(pool.map(one, range(len(flips)))))

    def encode(
        self, batch: Batch, indices: Sequence[int], seeds: Seeds, start: int, images: Tensor | None = None
    ) -> Encoded:
        """Latents and text states of the draws ``start``, ``start + 1``, ... of the clock.

        Args:
            batch: examples and captions.
            indices: of the examples in the data set.
            seeds: of the stage.
            start: images seen before.
            images: what ``draw`` returned ahead of time.
        """
        images = self.draw(batch, seeds, start) if images is None else images
        if images is not None:
            latents = self.backbone.encode_images(sent(images, self.backbone.device))
        else:
            latents = self.lookup(indices, self.flips(len(indices), seeds, start)[0])
        return Encoded(latents, self.texts(batch.captions))

    def lookup(self, indices: Sequence[int], flips: Sequence[bool]) -> Tensor:
        """Kept latents; a flipped draw takes the mirror image's."""
        assert self.cached is not None
        plain, mirrored = self.cached
        rows = [
            mirrored[i] if flip and mirrored is not None else plain[i]
            for i, flip in zip(indices, flips, strict=True)
        ]
        return sent(torch.stack(rows), self.backbone.device)
