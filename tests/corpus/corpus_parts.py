"""Shards of made pictures, and an embedder that needs no weights; importable by workers."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replication_bench.commands import corpus as command
from replication_bench.config import NamedOptions
from replication_bench.embedders.protocol import ImageProtocol, Vectors


class MadeEmbedder:
    """Unit vectors from a fixed random projection of 8 x 8 pixels.

    Args:
        salt: changes the protocol.
        kill: a file; the worker that meets a picture while it is missing makes it and dies.
        bad: a picture's top left red value whose worker always dies; -1 for none.
        log: a file that gets a line a call.
    """

    name = "made"
    dim = 24

    def __init__(self, salt: str = "", kill: str = "", bad: int = -1, log: str = ""):
        self.protocol = ImageProtocol(name="made", weights_sha256=salt, pixels=8, dtype="float32")
        self.kill, self.bad, self.log = kill, bad, log
        self.projection = np.random.default_rng(7).standard_normal((192, self.dim))

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        if self.kill and not Path(self.kill).exists():
            Path(self.kill).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.bad >= 0 and any(image.getpixel((0, 0))[0] == self.bad for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.log:
            with open(self.log, "a") as handle:
                handle.write(f"{len(images)}\n")
        pixels = np.stack([self.protocol.prepare(image).reshape(-1) for image in images]).astype(float)
        rows = (pixels - 128) @ self.projection
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def build_made(chosen: NamedOptions, log: str = "") -> MadeEmbedder:
    return MadeEmbedder(**chosen.options, log=log)


def choose_made(
    text: str, defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[NamedOptions, MadeEmbedder]:
    chosen = NamedOptions(name=text, options=dict(given))
    return chosen, build_made(chosen)


def use_made(patch: pytest.MonkeyPatch, log: str = "") -> None:
    """Lets the command embed with ``MadeEmbedder``, whatever embedder it is asked for."""
    patch.setattr(command, "build_embedder", partial(build_made, log=log))
    patch.setattr(command, "choose_embedder", choose_made)


def picture(number: int) -> bytes:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    pixels[0, 0] = number % 256
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def sample(number: int) -> list[tuple[str, bytes]]:
    key = f"{number:09d}"
    facts = {"url": f"https://example.org/{number}.png", "caption": f"picture {number}"}
    return [
        (f"{key}.json", json.dumps(facts).encode()),
        (f"{key}.png", picture(number)),
        (f"{key}.txt", b"a text"),
    ]


def write_shards(folder: Path, shards: int = 4, each: int = 5) -> list[Path]:
    return [
        write_tar(
            folder / f"{shard:05d}.tar",
            [file for number in range(shard * each, (shard + 1) * each) for file in sample(number)],
        )
        for shard in range(shards)
    ]
