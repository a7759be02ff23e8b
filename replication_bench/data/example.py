"""What a dataset is to the harness: ids, images and captions, in named splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

from PIL import Image

from replication_bench.embedders.protocol import Vectors

Embed = Callable[[Sequence[Image.Image]], Vectors]


@dataclass(frozen=True)
class Example:
    """One image with its captions.

    Attributes:
        id: unique within the dataset and stable between runs.
        captions: at least one; the first is the caption used unless a method draws another.
        load: opens the image as RGB at its stored size. Images are loaded when needed, never held.
        sha256: hash of the pixels or of the file that ``load`` decodes.
        copies: captions of each further time that the training set holds the image; see ``duplication``.
    """

    id: str
    captions: tuple[str, ...]
    load: Callable[[], Image.Image] = field(repr=False, compare=False)
    sha256: str
    copies: tuple[tuple[str, ...], ...] = ()

    @property
    def repeats(self) -> int:
        """How often the training set holds the image."""
        return 1 + len(self.copies)

    def with_captions(self, captions: Sequence[str]) -> Example:
        """The same image with other captions."""
        return replace(self, captions=tuple(captions))


@dataclass(frozen=True)
class Examples:
    """An ordered split: an immutable sequence of examples with a fingerprint."""

    items: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        return self.items[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.items)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in order."""
        return tuple(example.id for example in self.items)

    def repeated(self) -> Examples:
        """Each example followed by its copies, as training draws from them; itself where there are none."""
        if not any(example.copies for example in self.items):
            return self
        return Examples(
            tuple(
                replace(example, captions=captions, copies=())
                for example in self.items
                for captions in (example.captions, *example.copies)
            )
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, image hashes, captions and copies in order: equal fingerprints mean equal training data."""
        digest = hashlib.sha256()
        for example in self.items:
            digest.update("\x1f".join((example.id, example.sha256, *example.captions)).encode())
            for captions in example.copies:
                digest.update("\x1f".join(("\x1d", *captions)).encode())
            digest.update(b"\x1e")
        return digest.hexdigest()


@dataclass(frozen=True)
class Splits:
    """The splits of one dataset: ``train`` is private, ``heldout`` is never trained on.

    Attributes:
        public: images that anyone may pre-train on; empty where a dataset has none.
        note: one sentence that must stand beside every number measured on this dataset.
    """

    train: Examples
    heldout: Examples
    public: Examples = field(default_factory=lambda: Examples(()))
    note: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the fingerprints of ``train`` and ``heldout``."""
        return hashlib.sha256((self.train.fingerprint + self.heldout.fingerprint).encode()).hexdigest()


@runtime_checkable
class Dataset(Protocol):
    """What stands behind a name in ``replication_bench.datasets``: options go to its constructor.

    A class attribute ``licence`` says under which licence anyone may see the images; without one they are private, and
    reports leave them out.
    """

    def load(self, embed: Embed | None = None) -> Splits:
        """The splits.

        Args:
            embed: images to unit vectors float32 [n, d]; a dataset that splits by content uses it to keep
                near-duplicates on one side, any other ignores it.
        """
        ...
