"""``check_embedder``: does an embedder keep the contract of ``replication_bench.embedders.protocol``?

The checks have names and are generated, so that a package can run each as a test of its own::

    @pytest.mark.parametrize("check", embedder_checks(), ids=lambda check: check.__name__)
    def test_contract(check):
        check(MyEmbedder())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from replication_bench.embedders.protocol import DifferentiableEmbedder, Embedder, ImageTextEmbedder, Vectors
from replication_bench.errors import ConfigError
from replication_bench.testing.case import CheckFailed, expect
from replication_bench.testing.registry import registry
from replication_bench.testing.tiny import picture

Check = Callable[[Embedder], None]
CHECKS: list[Check] = []
SIDE = 64
CLOSE = 2e-3  # batching may change the order of a sum, and int8 rounds


named = registry(CHECKS)


def pictures(count: int = 5, side: int = SIDE) -> list[Image.Image]:
    """Drawn pictures of unlike shapes: square, wide and tall."""
    sizes = ((side, side), (side * 3 // 2, side), (side, side * 5 // 4))
    drawn = [picture(np.random.default_rng(index), side)[0] for index in range(count)]
    return [image.resize(sizes[index % 3]) for index, image in enumerate(drawn)]


def expect_close(got: Vectors, want: Vectors, message: str) -> None:
    """Raise CheckFailed where a number differs by more than ``CLOSE``."""
    worst = float(np.abs(got - want).max()) if got.shape == want.shape else float("inf")
    expect(worst <= CLOSE, f"{message}: off by {worst:.3g}")


@named
def check_declarations(embedder: Embedder) -> None:
    """Name, protocol and length of a vector are there, and the hash moves with every weight."""
    expect(isinstance(embedder, Embedder), "name, protocol, dim or __call__ is missing")
    expect(embedder.name and embedder.protocol.name, "no name")
    other = replace(embedder.protocol, weights_sha256="0" * 64)
    expect(embedder.protocol.hash != other.hash, "the protocol names no weights")
    expect(embedder.dim > 0, f"dim is {embedder.dim}")


@named
def check_unit_rows(embedder: Embedder) -> None:
    """Rows are float32 [n, dim], finite, of norm 1, also for one-coloured images."""
    flat = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "white", "grey")]
    rows = embedder([*pictures(), *flat])
    expect(rows.dtype == np.float32 and rows.shape == (8, embedder.dim), f"got {rows.dtype} {rows.shape}")
    expect(np.isfinite(rows).all(), "not finite")
    worst = float(np.abs(np.linalg.norm(rows, axis=1) - 1).max())
    expect(worst < 1e-3, f"a norm is off by {worst:.3g}")


@named
def check_no_images(embedder: Embedder) -> None:
    """No images are no rows."""
    rows = embedder([])
    expect(rows.shape == (0, embedder.dim) and rows.dtype == np.float32, f"got {rows.dtype} {rows.shape}")


@named
def check_repeats(embedder: Embedder) -> None:
    """The same images twice give the same rows to the bit."""
    expect(np.array_equal(embedder(pictures()), embedder(pictures())), "two calls differ")


@named
def check_batches(embedder: Embedder) -> None:
    """A row does not depend on what else is embedded with it."""
    images = pictures()
    alone = np.concatenate([embedder([image]) for image in images])
    expect_close(embedder(images), alone, "together and one by one differ")
    many = embedder(images * 4)
    expect_close(many, np.tile(alone, (4, 1)), "many and one by one differ")


@named
def check_order(embedder: Embedder) -> None:
    """Rows come in the order of the images."""
    images = pictures()
    expect_close(embedder(images[::-1])[::-1], embedder(images), "reversed images do not give reversed rows")


@named
def check_tells_images_apart(embedder: Embedder) -> None:
    """Unlike images have unlike vectors."""
    rows = embedder(pictures())
    similarity = rows @ rows.T - 2 * np.eye(len(rows))
    expect(float(similarity.max()) < 1 - 1e-6, "two unlike images have one vector")


@named
def check_modes(embedder: Embedder) -> None:
    """Grey, palette and opaque RGBA images are what they look like; a transparent pixel is white."""
    image = pictures(1)[0].convert("L")
    want = embedder([image.convert("RGB")])
    for mode in ("L", "LA", "RGBA"):
        expect_close(embedder([image.convert(mode)]), want, f"mode {mode} differs from RGB")
    palette = image.convert("RGB").quantize(256)
    expect_close(embedder([palette]), embedder([palette.convert("RGB")]), "mode P differs from RGB")
    clear, white = Image.new("RGBA", (SIDE, SIDE), (9, 80, 200, 0)), Image.new("RGB", (SIDE, SIDE), "white")
    expect_close(embedder([clear]), embedder([white]), "a transparent image is not white")


@named
def check_inputs_unchanged(embedder: Embedder) -> None:
    """The images that are handed over stay as they are."""
    images = pictures()
    embedder(images)
    same = all(
        a.tobytes() == b.tobytes() and a.mode == b.mode for a, b in zip(images, pictures(), strict=True)
    )
    expect(same, "an image was changed in place")


@named
def check_gradients(embedder: Embedder) -> None:
    """A differentiable embedder gives through tensors what it gives through images; another says so in one line."""
    if not isinstance(embedder, DifferentiableEmbedder):
        return
    image = pictures(1)[0]
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    if not embedder.differentiable:
        try:
            embedder.encode_tensor(pixels)
        except ConfigError:
            return
        raise CheckFailed("differentiable is False, but encode_tensor raises no ConfigError")
    pixels.requires_grad_()
    row = embedder.encode_tensor(pixels)
    cosine = float((row.detach().numpy() @ embedder([image]).T).squeeze())
    expect(cosine > 0.99, f"the tensor's vector has cosine {cosine:.4f} to the image's")
    torch.autograd.backward((row * torch.linspace(-1, 1, embedder.dim)).sum())
    expect(pixels.grad is not None and pixels.grad.isfinite().all(), "no finite gradient")
    expect(pixels.grad is not None and pixels.grad.any(), "the gradient is zero")


@named
def check_texts(embedder: Embedder) -> None:
    """An image-text embedder gives unit rows for texts, in order, and counts those that it cuts."""
    if not isinstance(embedder, ImageTextEmbedder):
        return
    texts = ["a red circle", "a blue square", "a green line"]
    rows = embedder.texts(texts)
    expect(rows.shape == (3, embedder.dim) and rows.dtype == np.float32, f"got {rows.dtype} {rows.shape}")
    expect(np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-3, "a norm is not 1")
    expect_close(embedder.texts(texts[::-1])[::-1], rows, "reversed texts do not give reversed rows")
    expect(embedder.texts([]).shape == (0, embedder.dim), "no texts are not no rows")
    expect(embedder.count_cut(texts) == 0, "a short text counts as cut")
    expect(embedder.count_cut(["word " * 500, texts[0]]) == 1, "a text of 500 words does not count as cut")


def embedder_checks() -> Iterator[Check]:
    """The checks, in order; each takes an embedder and raises CheckFailed."""
    yield from CHECKS


def check_embedder(embedder: Embedder) -> None:
    """Run every check on ``embedder``.

    Raises:
        CheckFailed: the first check that fails, by name.
    """
    for check in embedder_checks():
        check(embedder)
