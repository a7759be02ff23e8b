"""Dataset ``folder``: the user's own images with captions, part of them held out with all their near-duplicates.

A folder of images with captions (``captions.py``), or anything else that ``sources/`` opens: tar shards of webdataset
and img2dataset, parquet files with images or paths in them, a dataset that Hugging Face's ``save_to_disk`` wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from replication_bench.data.example import Embed, Examples, Splits
from replication_bench.data.images import (
    choose_groups,
    duplicate_groups,
)
from replication_bench.data.reading import read_images
from replication_bench.errors import ConfigError, DataError

HELDOUT = "heldout/"


def refuse_shared(train: Examples, heldout: Examples, where: str) -> None:
    """DataError if ``heldout`` holds a file of ``train``."""
    known = {example.sha256: example.id for example in train}
    if shared := [example for example in heldout if example.sha256 in known]:
        first = f"{shared[0].id.removeprefix(HELDOUT)} = {known[shared[0].sha256]}"
        got = f"{len(shared)} shared, first {first}"
        raise DataError("held-out images that are training images", where=where, got=got, want="none shared")


@dataclass(frozen=True)
class Folder:
    """A folder of captioned images, or shards, parquet files or a saved Hugging Face dataset of them.

    Args:
        path: the folder, read with its subfolders; or one of the others, a file, a folder or a pattern.
        captions: its caption file, if it has another name or place than those that are found by themselves.
        heldout: held-out images of any of these forms; without it a share of ``path`` is held out by content.
        heldout_share: share of the groups of duplicates that is held out, in (0, 1).
        duplicate_threshold: similarity above which two images are one group, in [-1, 1].

    Raises:
        ConfigError: a path that is no text, a share or threshold out of range.
    """

    path: str = ""
    captions: str = ""
    heldout: str = ""
    heldout_share: float = 0.2
    duplicate_threshold: float = 0.75

    def __post_init__(self) -> None:
        for name in ("path", "captions", "heldout"):
            if not isinstance(value := getattr(self, name), str):
                raise ConfigError("not a path", where=name, got=repr(value), want="a text, such as ./2024")
        if not 0 < self.heldout_share < 1:
            got = self.heldout_share
            raise ConfigError("no such share", where="heldout_share", got=got, want="between 0 and 1")
        if not -1 <= self.duplicate_threshold <= 1:
            got = self.duplicate_threshold
            raise ConfigError("no such similarity", where="duplicate_threshold", got=got, want="-1 to 1")

    def load(self, embed: Embed | None = None) -> Splits:
        """``train`` and ``heldout``; ids are relative paths, those of another folder begin with ``heldout/``.

        Raises:
            ConfigError: no path.
            DataError: images or captions that cannot be used; fewer than two training images.
        """
        if not self.path:
            hint = "Give --set dataset.options.path=DIR."
            raise ConfigError("the dataset folder needs a path", where="path", got="none", hint=hint)
        examples, notes = read_images(self.path, self.captions)
        splits = self.beside(examples) if self.heldout else self.within(examples, embed)
        if len(splits.train) < 2:
            got = f"{len(splits.train)} of {len(examples)} images, {len(splits.heldout)} held out"
            raise DataError("too few training images", where=self.path, got=got, want="two or more")
        return replace(splits, note=" ".join((splits.note, *notes)))

    def beside(self, train: Examples) -> Splits:
        """Everything is for training and another folder is held out."""
        heldout, _ = read_images(self.heldout, prefix=HELDOUT, stems=True)
        refuse_shared(train, heldout, self.heldout)
        note = "folder: the floor is that of a given held-out folder; only exact copies of training images are out."
        return Splits(train, heldout, note=note)

    def within(self, examples: Examples, embed: Embed | None) -> Splits:
        """A share of the groups of duplicates is held out, chosen by content alone."""
        loaders = {example.sha256: example.load for example in examples}
        groups = duplicate_groups(loaders, embed, self.duplicate_threshold)
        chosen = choose_groups(groups, self.heldout_share)
        kind = f"similarity above {self.duplicate_threshold:g}" if embed else "equal bytes"
        return Splits(
            train=Examples(tuple(example for example in examples if example.sha256 not in chosen)),
            heldout=Examples(tuple(example for example in examples if example.sha256 in chosen)),
            note=f"folder: {self.heldout_share:.0%} held out by content, images of {kind} kept on one side.",
        )
