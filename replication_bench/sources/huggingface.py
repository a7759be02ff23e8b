"""A dataset that Hugging Face's ``save_to_disk`` wrote; the package ``datasets`` is imported when one is opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from replication_bench.errors import DataError
from replication_bench.extras import require
from replication_bench.sources.cells import CAPTIONS, as_texts, cell_bytes
from replication_bench.sources.source import Entry, Source

MARKS = ("state.json", "dataset_dict.json")


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote this folder."""
    return any((folder / mark).is_file() for mark in MARKS)


def one_split(saved: Any, path: str) -> tuple[Any, tuple[str, ...]]:
    """The dataset itself, or ``train`` of several splits, with a note of what was left."""
    if not hasattr(saved, "keys"):
        return saved, ()
    names = list(saved.keys())
    if "train" not in names and len(names) > 1:
        raise DataError(
            "several splits and none called train", where=path, got=", ".join(names), want=f"{path}/SPLIT"
        )
    name = "train" if "train" in names else names[0]
    left = [other for other in names if other != name]
    note = f"of the saved splits only {name} is read, not {', '.join(left)}."
    return saved[name], (note,) if left else ()


def image_column(saved: Any, datasets: Any, path: str) -> str:
    """The first column of images.

    Raises:
        DataError: there is none; lists the columns.
    """
    features = dict(saved.features)
    for name, feature in features.items():
        if isinstance(feature, datasets.Image) or getattr(feature, "dtype", "") in ("binary", "large_binary"):
            return str(name)
    raise DataError(
        "the saved dataset has no column of images",
        where=path,
        got=f"columns {', '.join(features) or 'none'}",
    )


def cell(saved: Any, column: str, row: int, folder: Path, where: str) -> bytes:
    """The bytes of one image."""
    return cell_bytes(saved[row][column], folder, where)


def open_saved(path: str) -> Source:
    """A saved dataset as a source, in its own order; ids are row numbers.

    Raises:
        PluginError: the package ``datasets`` is missing.
        DataError: it cannot be read, or has no images.
    """
    datasets = require("datasets", "replbench[huggingface]")
    folder = Path(path).expanduser()
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged folder fails anywhere in datasets, pyarrow and json
        got = f"{type(error).__name__}: {error}"
        raise DataError("the saved dataset cannot be read", where=path, got=got) from error
    saved, notes = one_split(loaded, path)
    column = image_column(saved, datasets, path)
    caption = next((name for name in CAPTIONS if name in saved.column_names), None)
    if isinstance(saved.features[column], datasets.Image):
        saved = saved.cast_column(column, datasets.Image(decode=False))
    texts = [as_texts(value) for value in saved[caption]] if caption else [()] * len(saved)
    images = saved.select_columns([column])
    entries = (
        Entry(f"{row:06d}", partial(cell, images, column, row, folder, f"{path} row {row}"), texts[row])
        for row in range(len(saved))
    )
    return Source(path, "huggingface", tuple(entries), notes=notes)
