"""Where pretrained weights come from: a shipped name, a folder, a file, a hub id, or nowhere (random weights)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from replication_bench.errors import ConfigError, did_you_mean
from replication_bench.pretrained.folder import load_folder
from replication_bench.pretrained.made import PREFIX, random_parts
from replication_bench.pretrained.parts import PARTS as PARTS
from replication_bench.pretrained.parts import quiet
from replication_bench.pretrained.shapes import find_shape, shape_names
from replication_bench.pretrained.single_file import load_file, names_file, split


def packaged_backbones() -> dict[str, Path]:
    """Backbones that the package ships, by name."""
    folder = Path(str(files("replication_bench"))) / "backbones"
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/model_index.json"))}


def locate(name: str) -> str:
    """Check a backbone's name, and replace a shipped name by its folder.

    Raises:
        ConfigError: neither a shipped backbone, nor a folder with a ``model_index.json``, nor a file, nor
            ``random:SHAPE``, nor of the form owner/name.
    """
    shipped = packaged_backbones()
    if name in shipped:
        return str(shipped[name])
    if name.startswith(PREFIX):
        find_shape(name.removeprefix(PREFIX))
        return name
    if names_file(name):
        if not Path(split(name)[0]).is_file():
            raise ConfigError("no such backbone file", where="--backbone", got=name)
        return name
    if Path(name).is_dir():
        if not (Path(name) / "model_index.json").is_file():
            raise ConfigError(
                "the backbone folder is no diffusers pipeline", where=name, want="a model_index.json"
            )
        return name
    if Path(name.rpartition("@")[0] or name).is_file():
        raise ConfigError(
            "the backbone's file is of another kind",
            where="--backbone",
            got=name,
            want="a file *.safetensors; pickles (.ckpt, .bin, .pt) are never read, since they can run code",
            hint="Convert it, or give a folder in diffusers format.",
        )
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return name
    raise ConfigError(
        f"unknown backbone '{name}'",
        want="a shipped name, a folder or .safetensors file, a hub id owner/name, or random:SHAPE",
        hint=did_you_mean(name, (*shipped, *(PREFIX + shape for shape in shape_names()))),
    )


def load_parts(location: str) -> dict[str, Any]:
    """The five parts of a Stable Diffusion pipeline in float32, without safety checker.

    Raises:
        WeightsError: what ``location`` names cannot be loaded as a Stable Diffusion.
    """
    quiet()
    if location.startswith(PREFIX):
        return random_parts(location.removeprefix(PREFIX))
    return load_file(location) if names_file(location) else load_folder(location)
