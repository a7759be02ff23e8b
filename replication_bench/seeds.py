"""One integer seed, many named independent streams.

A stream is named by what it serves (``("train", "noise", step)``, ``("sample", image)``), never by the route that led
there: so a resumed run, another batch size or another rank draws the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # an audit draws numbers and has no need of torch
    import torch

Name = str | int


@dataclass(frozen=True)
class Seeds:
    """The streams of one run.

    Args:
        seed: any integer.
    """

    seed: int

    def derive(self, *name: Name) -> int:
        """A 63-bit seed for the stream ``name``: the head of SHA-256 over the seed and the name."""
        text = "/".join(map(str, (self.seed, *name)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def torch(self, *name: Name) -> torch.Generator:
        """A CPU generator, so that a run draws the same numbers on every device."""
        import torch

        return torch.Generator().manual_seed(self.derive(*name))

    def numpy(self, *name: Name) -> np.random.Generator:
        """A NumPy generator for text, pixels and shuffles."""
        return np.random.default_rng(self.derive(*name))

    @contextmanager
    def ambient(self, *name: Name) -> Iterator[None]:
        """Torch's global generator seeded from the stream ``name``, and put back afterwards.

        For modules, which take their initial weights from it.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.derive(*name))
            yield
