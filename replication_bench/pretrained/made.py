"""Parts of a pipeline made from a shape: with random weights, or as the configurations that a checkpoint needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from replication_bench.pretrained.shapes import Shape, find_shape
from replication_bench.pretrained.tokenizer import LENGTH, VOCABULARY, byte_tokenizer
from replication_bench.seeds import Seeds

PREFIX = "random:"
SEED = 0


def text_config(shape: Shape, tokenizer: Any) -> Any:
    """The text encoder's configuration, with the tokenizer's special tokens and CLIP's number of rows."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=max(VOCABULARY, len(tokenizer)),
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shape.text,
    )


def random_parts(name: str) -> dict[str, Any]:
    """VAE, text encoder, tokenizer, U-Net and scheduler of the shape ``name``, always the same random weights.

    For tests and timings: the images it makes are noise.

    Raises:
        ConfigError: no such shape.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel

    shape = find_shape(name)
    tokenizer = byte_tokenizer(pad=shape.pad)
    models: tuple[Any, ...] = (AutoencoderKL, UNet2DConditionModel, DDIMScheduler)
    vae, unet, scheduler = models
    with Seeds(SEED).ambient(PREFIX, name):
        return {
            "vae": vae(**shape.vae),
            "text_encoder": CLIPTextModel(text_config(shape, tokenizer)),
            "tokenizer": tokenizer,
            "unet": unet(**shape.unet),
            "scheduler": scheduler(**shape.scheduler),
        }


def write_configs(shape: Shape, tokenizer: Any, folder: Path) -> None:
    """Write a pipeline's folder without weights, from which ``from_single_file`` takes every configuration."""
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler
    for part, kind, config in (
        ("unet", "UNet2DConditionModel", shape.unet),
        ("vae", "AutoencoderKL", shape.vae),
    ):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps({"_class_name": kind, **config}))
    text_config(shape, tokenizer).save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    scheduler(**shape.scheduler).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
