"""Whether the weights in a pipeline's folder are those that its configuration describes.

diffusers and transformers leave out tensors that they do not expect and draw the missing ones at random, or leave them
without data, with a warning at most. A backbone must be what it says it is, so this is settled before they load.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from replication_bench.errors import WeightsError

STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
LIBRARIES = ("diffusers", "transformers")
COUNTER = "position_ids"  # older text encoders carry it; it is no weight
PREFIX = "text_model."  # in files, no longer in the networks of transformers 5
# layers of a VAE's attention in older files, and what diffusers calls them since (AttentionBlock, now Attention)
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLDER = re.compile(rf"(?<=\.attentions\.\d\.)({'|'.join(RENAMED)})(?=\.)")
SHOWN = 2
Shapes = dict[str, list[int]]


def weight_files(folder: Path, stem: str, variant: str | None) -> list[Path]:
    """The safetensors of a variant, in one file or in shards; the plain ones where a part has none of it."""
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    for start in dict.fromkeys((f"{stem}.{variant}" if variant else stem, stem)):
        for shard in ("", r"-\d+-of-\d+"):
            pattern = re.escape(start) + shard + r"\.safetensors"
            if found := [folder / name for name in names if re.fullmatch(pattern, name)]:
                return found
    return []


def shapes_in(files: list[Path]) -> Shapes:
    """The shape of every tensor in some files, read from their headers.

    Raises:
        WeightsError: a file is no safetensors, or cut short.
    """
    found = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                found.update({name: list(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            hint = "Download or save it again."
            raise WeightsError("the weights cannot be read", where=path, got=error, hint=hint) from error
    return weights_in(found)


def weights_in(shapes: Shapes) -> Shapes:
    """Weights alone, under names that do not depend on the library's version."""
    return {newer(name): shape for name, shape in shapes.items() if not name.endswith(COUNTER)}


def newer(name: str) -> str:
    """What today's libraries call a tensor."""
    return OLDER.sub(lambda found: RENAMED[found[0]], name.removeprefix(PREFIX))


def shapes_of(folder: Path, library: str, name: str) -> Shapes:
    """The shape of every tensor of the network that ``config.json`` describes; no memory is taken for them."""
    kind: Any = getattr(importlib.import_module(library), name)
    with torch.device("meta"):
        if library == "transformers":
            network = kind(kind.config_class.from_pretrained(folder))
        else:
            network = kind.from_config(kind.load_config(folder))
    return weights_in({key: list(value.shape) for key, value in network.state_dict().items()})


def check_weights(location: Path, index: Mapping[str, Any], part: str, variant: str | None) -> None:
    """Refuse a part whose weights are not those of its configuration; where a part is missing, the loader tells.

    Of shapes the number of elements counts, for the libraries reshape tensors of older files.

    Args:
        location: the pipeline's folder.
        index: its ``model_index.json``.
        part: ``unet``, ``vae`` or ``text_encoder``.
        variant: ``fp16``, ``bf16`` or None.

    Raises:
        WeightsError: names the first tensors that differ, with both shapes.
    """
    folder, (library, name) = location / part, index[part]
    files = weight_files(folder, STEMS[part], variant)
    if not files or library not in LIBRARIES:
        return
    got, want = shapes_in(files), shapes_of(folder, library, name)
    names = [name for name in {**want, **got} if size(got, name) != size(want, name)]
    if not names:
        return
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    raise WeightsError(
        "the weights are not those of the configuration beside them",
        where=folder,
        got=told(names, got) + more,
        want=told(names, want),
        hint="Give a folder whose config.json was saved with its weights.",
    )


def size(shapes: Shapes, name: str) -> int | None:
    """The number of elements; None where there is no such tensor."""
    return prod(shapes[name]) if name in shapes else None


def told(names: list[str], shapes: Shapes) -> str:
    """The first tensors with their shapes."""
    return ", ".join(f"{name} {shapes[name]}" if name in shapes else f"no {name}" for name in names[:SHOWN])
