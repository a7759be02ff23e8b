"""One .safetensors file with a whole Stable Diffusion, in the layout of CompVis and Stability AI.

The configurations come from ``shapes.py`` and the tokenizer from the package open_clip_torch, so that nothing is
fetched. The weights of SD 2.1 (v-prediction) and SD 2.1 base (epsilon) have equal names and shapes: which one a file
holds must be said, ``FILE.safetensors@sd21``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from replication_bench.errors import ConfigError, WeightsError, did_you_mean
from replication_bench.pretrained.folder import WANT, check_networks
from replication_bench.pretrained.made import write_configs
from replication_bench.pretrained.parts import PARTS
from replication_bench.pretrained.shapes import Shape, find_shape, shape_names
from replication_bench.pretrained.tokenizer import clip_tokenizer

SUFFIX = ".safetensors"
NETWORKS = {
    "U-Net": "model.diffusion_model.",
    "VAE": "first_stage_model.",
    "text encoder": "cond_stage_model.",
}
INPUT = "model.diffusion_model.input_blocks.0.0.weight"
ATTENTION = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


class Stored(NamedTuple):
    """The shape of a tensor that was not read."""

    shape: tuple[int, ...]


def names_file(name: str) -> bool:
    """Whether a backbone's name means a single file: ``FILE.safetensors`` or ``FILE.safetensors@SHAPE``."""
    return split(name)[0].endswith(SUFFIX)


def split(name: str) -> tuple[str, str]:
    """Path and shape; the shape is empty where none is named."""
    path, at, shape = name.rpartition("@")
    return (path, shape) if at and path.endswith(SUFFIX) else (name, "")


def read_header(path: str) -> dict[str, Stored]:
    """Names and shapes of the tensors in a file.

    Raises:
        WeightsError: no such file, or no safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: Stored(tuple(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            "the backbone's file cannot be read as safetensors", where=path, got=error
        ) from error


def architecture(header: dict[str, Stored]) -> str:
    """What diffusers takes the file for, such as ``v1``, ``v2``, ``xl_base`` or ``flux-dev``."""
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type

    kind: str = infer_diffusers_model_type(header)
    return kind


def check_architecture(header: dict[str, Stored], path: str) -> str:
    """``v1`` or ``v2``.

    Raises:
        WeightsError: another architecture, or not all three networks.
    """
    kind = architecture(header)
    if kind not in ("v1", "v2"):
        raise WeightsError("the backbone has another architecture", where=path, got=kind, want=WANT)
    missing = [part for part, prefix in NETWORKS.items() if not any(key.startswith(prefix) for key in header)]
    if missing or INPUT not in header:
        raise WeightsError(
            "the file is no whole Stable Diffusion",
            where=path,
            got=f"no {' and no '.join(missing) or INPUT}",
            want="U-Net, VAE and text encoder in the layout of CompVis or Stability AI",
            hint="Give a folder in diffusers format for weights in another layout.",
        )
    return kind


def choose_shape(header: dict[str, Stored], kind: str, named: str, path: str) -> Shape:
    """The shape that was named, or the only one that the file can have.

    Raises:
        ConfigError: no such shape, or the file can be of two.
        WeightsError: the file has other widths than the shape that was named.
    """
    if named and named not in shape_names():
        raise ConfigError(f"unknown shape '{named}'", where=path, hint=did_you_mean(named, shape_names()))
    if not named and kind == "v2":
        raise ConfigError(
            "the weights do not tell SD 2.1 from SD 2.1 base",
            where=path,
            hint=f"Give {path}@sd21 (768 px, predicts velocity) or {path}@sd21-base (512 px, predicts noise).",
        )
    shape = find_shape(named or "sd15")
    want = (shape.unet["block_out_channels"][0], shape.unet["cross_attention_dim"])
    got = header[ATTENTION].shape if ATTENTION in header else "no attention in the first block"
    if got != want:
        raise WeightsError(
            "the file has another shape", where=path, got=got, want=f"{want} of {named or 'sd15'}"
        )
    return shape


def load_file(name: str) -> dict[str, Any]:
    """The five parts in float32, whatever the precision in the file.

    Raises:
        ConfigError, WeightsError: see ``choose_shape`` and ``check_architecture``.
    """
    from diffusers import StableDiffusionPipeline

    path, named = split(name)
    header = read_header(path)
    shape = choose_shape(header, check_architecture(header, path), named, path)
    pipeline_class: Any = StableDiffusionPipeline
    with tempfile.TemporaryDirectory() as folder:
        configs = Path(folder) / "configs"
        write_configs(shape, clip_tokenizer(shape.pad), configs)
        try:
            pipeline = pipeline_class.from_single_file(
                path, config=str(configs), local_files_only=True, dtype=torch.float32
            )
        except NotImplementedError as error:  # a weight stayed without data
            raise WeightsError("the file is not complete", where=path, got="weights missing") from error
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            got = str(error).splitlines()[0]
            raise WeightsError(
                "the file cannot be loaded as a Stable Diffusion", where=path, got=got
            ) from error
    parts = {part: getattr(pipeline, part) for part in PARTS}
    check_complete(parts, path)
    check_networks(parts, path)
    return parts


def check_complete(parts: dict[str, Any], path: str) -> None:
    """Raise WeightsError where a network has weights that the file lacks."""
    for part in ("unet", "vae", "text_encoder"):
        lacking = [name for name, value in parts[part].named_parameters() if value.is_meta]
        if lacking:
            got = f"{len(lacking)} weights of the {part} missing, first {lacking[0]}"
            raise WeightsError("the file is not complete", where=path, got=got)
