"""Pipelines in diffusers' format: a folder, or a hub id."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from replication_bench.components import custom_unet
from replication_bench.errors import WeightsError
from replication_bench.pretrained.fit import STEMS, check_weights
from replication_bench.pretrained.hub import check_reachable
from replication_bench.pretrained.parts import PARTS

VARIANTS = ("fp16", "bf16")
PREDICTIONS = ("epsilon", "v_prediction")
WANT = "a Stable Diffusion 1.x or 2.x that makes images from text"


def check_index(index: Mapping[str, Any], where: str) -> None:
    """Raise WeightsError unless a ``model_index.json`` names the five parts of a Stable Diffusion and no more."""

    def present(name: str) -> bool:
        value = index.get(name)
        return isinstance(value, list | tuple) and value[0] is not None

    more = [name for name in ("text_encoder_2", "transformer", "prior", "controlnet") if present(name)]
    missing = [name for name in PARTS if not present(name)]
    if more or missing:
        got = f"{index.get('_class_name', 'an unknown pipeline')} " + (
            f"with {', '.join(more)}" if more else f"without {', '.join(missing)}"
        )
        raise WeightsError("the backbone has another architecture", where=where, got=got, want=WANT)


def read_index(pipeline_class: Any, location: str) -> dict[str, Any]:
    """The ``model_index.json``, from the hub where ``location`` is no folder."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # diffusers hands the hub an argument that is no longer used
        index: dict[str, Any] = pipeline_class.load_config(location)
    return index


def check_networks(parts: Mapping[str, Any], where: str) -> None:
    """Raise WeightsError where the networks take more than latents, timesteps and the text states of one encoder."""
    unet, vae, text = (parts[name].config for name in ("unet", "vae", "text_encoder"))
    more = [
        name for name in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type") if unet.get(name)
    ]
    if more:
        got = f"a U-Net with {', '.join(more)}"
    elif unet.in_channels != vae.latent_channels:
        got = f"a U-Net of {unet.in_channels} input channels over {vae.latent_channels} latent channels"
    elif unet.cross_attention_dim != text.hidden_size:
        got = f"text states of {text.hidden_size} for a U-Net that takes {unet.cross_attention_dim}"
    else:
        return
    raise WeightsError("the backbone has another architecture", where=where, got=got, want=WANT)


def check_texts(parts: Mapping[str, Any], where: str) -> None:
    """Raise WeightsError where texts cannot become states of the text encoder.

    A tokenizer without its files is loaded as one of two tokens, to which all captions are alike.
    """
    tokenizer, config = parts["tokenizer"], parts["text_encoder"].config
    size, length = len(tokenizer), tokenizer.model_max_length
    if not len(set(tokenizer.all_special_ids)) < size <= config.vocab_size:
        got, want = f"{size} tokens", f"a vocabulary for {config.vocab_size}"
    elif length > config.max_position_embeddings:
        got, want = f"texts of {length} tokens", f"at most {config.max_position_embeddings}"
    else:
        return
    hint = "Is the folder of the tokenizer whole?"
    raise WeightsError(
        "the tokenizer does not fit the text encoder", where=where, got=got, want=want, hint=hint
    )


def check_schedule(scheduler: Any, where: str) -> None:
    """Raise WeightsError unless the network was trained to predict noise or velocities at discrete noise levels."""
    found = scheduler.config.get("prediction_type")
    if found in PREDICTIONS and "beta_schedule" in scheduler.config:
        return
    got = f"{type(scheduler).__name__}, prediction_type {found}"
    raise WeightsError(
        "the backbone has another noise schedule", where=where, got=got, want=" or ".join(PREDICTIONS)
    )


def variants(location: str) -> tuple[str | None, ...]:
    """Which weights to load: the plain ones, else those of half precision. A hub is asked for one after the other."""
    folder = Path(location) / "unet"
    if not folder.is_dir():
        return None, *VARIANTS
    names = [path.name for path in folder.glob("diffusion_pytorch_model*.safetensors")]
    halves = [v for v in VARIANTS if any(f".{v}." in name or f".{v}-" in name for name in names)]
    plain = any(re.fullmatch(r"diffusion_pytorch_model(-\d+-of-\d+)?\.safetensors", name) for name in names)
    return (None,) if plain or not halves else (halves[0],)


def load_folder(location: str) -> dict[str, Any]:
    """The five parts in float32, whatever the precision on disk; only safetensors are read.

    Raises:
        WeightsError: it cannot be reached or read, or is no Stable Diffusion.
    """
    from diffusers import StableDiffusionPipeline

    pipeline_class: Any = StableDiffusionPipeline
    try:
        if not Path(location).is_dir():
            check_reachable(location)
        index = read_index(pipeline_class, location)
        check_index(index, location)
        unet = custom_unet(location)
        if Path(location).is_dir():
            for part in STEMS:
                if part != "unet" or unet is None:
                    check_weights(Path(location), index, part, variants(location)[0])
        given = {} if unet is None else {"unet": None}  # its code is not run: see components
        pipeline = load_variant(pipeline_class, location, given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            "the backbone cannot be loaded as a Stable Diffusion",
            where=location,
            got=str(error).splitlines()[0].partition(". ")[0].rstrip("."),
            hint="Give a folder in diffusers format with safetensors, or a hub id that this machine can reach.",
        ) from error
    parts = {part: getattr(pipeline, part) for part in PARTS}
    check_texts(parts, location)
    check_schedule(parts["scheduler"], location)
    if unet is not None:
        return {**parts, "unet": unet}
    check_networks(parts, location)
    return parts


def load_variant(pipeline_class: Any, location: str, given: dict[str, Any]) -> Any:
    """The pipeline from the first variant of its weights that is there; raises what the first one raised.

    Args:
        pipeline_class: diffusers' class.
        location: folder or hub id.
        given: parts that are not to be loaded.
    """
    first: Exception | None = None
    for variant in variants(location):
        try:
            return pipeline_class.from_pretrained(
                location,
                variant=variant,
                dtype=torch.float32,
                use_safetensors=True,
                safety_checker=None,
                requires_safety_checker=False,
                **given,
            )
        except (OSError, ValueError) as error:
            first = first or error
    assert first is not None
    raise first
