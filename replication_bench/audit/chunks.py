"""What is known of contents while an index is built, kept in chunks: an interruption costs one chunk at most."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replication_bench.embedders.cache import read_vectors, write_vectors
from replication_bench.embedders.protocol import Vectors
from replication_bench.store import write_json


@dataclass
class Known:
    """Vectors by content hash: those of the index as it was, and those of the chunks since."""

    vectors: dict[str, Vectors] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)

    def add(
        self, hashes: Sequence[str], vectors: Vectors, frames: Sequence[int], norms: Sequence[float]
    ) -> None:
        """Remember rows; a row of a file on disk stays there."""
        self.vectors.update(zip(hashes, vectors, strict=True))
        self.frames.update(zip(hashes, frames, strict=True))
        self.norms.update(zip(hashes, norms, strict=True))


class Chunks:
    """Files of at most ``CHUNK`` vectors, each named after the contents that it holds."""

    def __init__(self, folder: Path, dim: int):
        self.folder, self.dim = folder, dim

    def read(self, known: Known) -> None:
        """Remember every whole chunk; a damaged one is computed again."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                table = json.loads(path.read_text(encoding="utf-8"))
                hashes, frames, norms = table["sha256"], table["frames"], table["norms"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            vectors = read_vectors(path.with_suffix(".npz"), len(hashes), self.dim)
            if vectors is not None and len(frames) == len(norms) == len(hashes):
                known.add(hashes, vectors, frames, norms)

    def write(
        self, hashes: Sequence[str], vectors: Vectors, frames: Sequence[int], norms: Sequence[float]
    ) -> None:
        """The vectors, then the list that makes them count."""
        path = self.folder / hashlib.sha256("".join(hashes).encode()).hexdigest()[:24]
        write_vectors(path.with_suffix(".npz"), vectors)
        table = {"sha256": list(hashes), "frames": list(frames), "norms": list(norms)}
        write_json(path.with_suffix(".json"), table)
