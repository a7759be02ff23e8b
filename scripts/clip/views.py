"""Augmented views of the drawings, as the kept stages of the image tower see them: computed once, a file a view.

The stages that are not trained take nine tenths of the time; what they make of a fixed number of views is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip import augment
from clip.model import lower, normalised

VIEWS = 12
BATCH = 64


def write_array(path: Path, array: np.ndarray) -> None:
    """Under another name until it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    with temporary.open("wb") as file:
        np.save(file, array)
    os.replace(temporary, path)


@torch.no_grad()
def seen(visual: Any, drawings: Tensor, picture: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Maps float16 [n, 112, 8, 8] of the pictures that ``picture`` makes of drawings uint8 [n, 4, S, S]."""
    parts = []
    for part in drawings.split(BATCH):
        pixels = normalised(picture(part)).contiguous(memory_format=torch.channels_last)
        parts.append(lower(visual, pixels).half().cpu().numpy())
    return np.concatenate(parts)


def make(folder: Path, visual: Any, drawings: Tensor, seed: int) -> list[np.ndarray]:
    """Every view, mapped into memory; those that are there already are kept. The first is the plain one."""
    visual.eval().to(memory_format=torch.channels_last)
    paths = [folder / f"{number:02d}.npy" for number in range(VIEWS + 1)]
    for number, path in enumerate(paths):
        if not path.is_file():
            rng = torch.Generator(device=drawings.device).manual_seed(1000 * seed + number)
            picture = (lambda part, rng=rng: augment.augmented(part, rng)) if number else augment.plain
            write_array(path, seen(visual, drawings, picture))
            print(f"view {number} of {VIEWS}", flush=True)
    return [np.load(path, mmap_mode="r") for path in paths]
