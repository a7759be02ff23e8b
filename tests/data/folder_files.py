"""Folders of tiny captioned images for the tests of the dataset ``folder``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


def picture(path: Path, degrees: int = 0, seed: int = 0) -> None:
    """An image that ``embed`` turns into the unit vector of an angle; unlike seeds give unlike bytes."""
    image = Image.new("RGB", (4, 4), (degrees, 0, 0))
    image.putpixel((3, 3), (degrees, 1 + seed // 256, seed % 256))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "png")


def embed(images: Sequence[Image.Image]) -> np.ndarray:
    angles = np.radians([image.getpixel((0, 0))[0] for image in images])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def filled(folder: Path, names: Sequence[str] = ("1.png", "2.png", "10.png"), txt: bool = False) -> Path:
    for seed, name in enumerate(names):
        picture(folder / name, seed=seed)
        if txt:
            (folder / name).with_suffix(".txt").write_text(f"caption of {name}\n", encoding="utf-8")
    return folder


def write_metadata(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    if path.suffix == ".parquet":
        pd.DataFrame(list(rows)).to_parquet(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
        return
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
