"""Pack what was trained as open_clip lays out a folder (``local-dir:``): configuration, weights, tokenizer.

Tensors of the image tower that are still those of their package stay out; ``embedders/pocket.py`` takes them from it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from clip.model import config
from replication_bench.embedders.efficientnet import load, packaged_weights
from replication_bench.embedders.pocket import TOWER, rounded


def pack(work: Path, out: Path) -> None:
    """Write ``out``; a card written by hand stays."""
    state = {}
    for tower in ("text", "image"):
        with safe_open(work / f"{tower}.safetensors", "pt") as file:
            vocabulary = int(file.metadata()["vocabulary"])
            state |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    state = without_package(state)
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, out / "open_clip_model.safetensors")
    (out / "open_clip_model.safetensors").chmod(0o644)
    text = json.dumps(config(vocabulary), indent=2) + "\n"
    (out / "open_clip_config.json").write_text(text, encoding="utf-8")
    for path in (work / "tokenizer").glob("*.json"):
        shutil.copyfile(path, out / path.name)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 2**20:.1f} MiB")


def without_package(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of ``state`` is not in the image tower's package already, number for number."""
    kept = {TOWER + name: rounded(value) for name, value in load(packaged_weights()).state_dict().items()}
    return {
        name: value for name, value in state.items() if name not in kept or not torch.equal(value, kept[name])
    }
