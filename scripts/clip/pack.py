"""Pack the trained towers as open_clip reads a folder (``local-dir:``): configuration, weights, tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from clip.model import config


def pack(work: Path, out: Path) -> None:
    """Write ``out``; a card written by hand stays."""
    state = {}
    for tower in ("text", "image"):
        with safe_open(work / f"{tower}.safetensors", "pt") as file:
            vocabulary = int(file.metadata()["vocabulary"])
            state |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, out / "open_clip_model.safetensors")
    (out / "open_clip_model.safetensors").chmod(0o644)
    text = json.dumps(config(vocabulary), indent=2) + "\n"
    (out / "open_clip_config.json").write_text(text, encoding="utf-8")
    for path in (work / "tokenizer").glob("*.json"):
        shutil.copyfile(path, out / path.name)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 2**20:.1f} MiB")
