"""A random Stable Diffusion folder, written in a moment, and image folders with planted near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from replication_bench.pretrained.tokenizer import new_tokenizer as clip_tokenizer_of

COLOURS = ("red", "green", "blue", "orange", "purple", "black")
SHAPES = ("circle", "square", "line")
SIDE = 32
WIDTH = 32
LENGTH = 16


def picture(rng: np.random.Generator, side: int = SIDE) -> tuple[Image.Image, str]:
    """A few coloured shapes on white, RGB ``side`` x ``side``, and a caption that names the first of them."""
    image = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(image)
    names = []
    for _ in range(3):
        colour, shape = str(rng.choice(COLOURS)), str(rng.choice(SHAPES))
        x, y = (int(value) for value in rng.integers(0, side * 2 // 3, 2))
        box = (x, y, x + side // 3, y + side // 3)
        if shape == "circle":
            pen.ellipse(box, fill=colour)
        elif shape == "square":
            pen.rectangle(box, fill=colour)
        else:
            pen.line(box, fill=colour, width=max(1, side // 10))
        names.append(f"a {colour} {shape}")
    return image, names[0]


def near_duplicate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same picture with every pixel value moved by at most 4 of 255."""
    pixels = np.asarray(image, dtype=np.int16)
    return Image.fromarray((pixels + rng.integers(-4, 5, pixels.shape)).clip(0, 255).astype(np.uint8))


def planted_folder(
    folder: str | Path, n: int, *, duplicates: int = 1, seed: int = 0, side: int = SIDE
) -> list[tuple[str, str]]:
    """Write ``n`` captioned pictures, the last ``duplicates`` of them near-duplicates of the first ones.

    Every image is a PNG with a caption in the text file of the same stem; a near-duplicate has its original's
    caption. Equal arguments write equal files.

    Returns:
        The planted pairs of file names: (original, near-duplicate).

    Raises:
        ValueError: more duplicates than originals.
    """
    originals = n - duplicates
    if not 0 <= duplicates <= originals:
        raise ValueError(f"{duplicates} near-duplicates of {originals} originals")
    folder, rng = Path(folder), np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [picture(rng, side) for _ in range(originals)]
    drawn += [(near_duplicate(image, rng), caption) for image, caption in drawn[:duplicates]]
    for index, (image, caption) in enumerate(drawn):
        image.save(folder / f"{index:04d}.png")
        (folder / f"{index:04d}.txt").write_text(caption + "\n", encoding="utf-8")
    return [(f"{index:04d}.png", f"{originals + index:04d}.png") for index in range(duplicates)]


def word_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges that build each word from left to right."""
    merges = []
    for word in words:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            merges.append((pieces[0], pieces[1]))
            pieces[:2] = [pieces[0] + pieces[1]]
    return list(dict.fromkeys(merges))


def new_tokenizer() -> Any:
    """A CLIP tokenizer: every byte, and the words of the captions of ``picture``."""
    from tokenizers.pre_tokenizers import ByteLevel

    return clip_tokenizer_of(sorted(ByteLevel.alphabet()), word_merges((*COLOURS, *SHAPES)), LENGTH)


def new_text_encoder(tokenizer: Any) -> Any:
    """A CLIP text encoder of one layer, width ``WIDTH``."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def new_unet(levels: int, channels: int, layers: int) -> Any:
    """A U-Net with Stable Diffusion's kinds of blocks for latents [n, 4, 8, 8]."""
    from diffusers import UNet2DConditionModel

    model: Any = UNet2DConditionModel
    return model(
        sample_size=SIDE // 4,
        block_out_channels=(channels,) * levels,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        layers_per_block=layers,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def new_vae() -> Any:
    """An autoencoder of factor 4: images [n, 3, 32, 32] in [-1, 1] to latents [n, 4, 8, 8]."""
    from diffusers import AutoencoderTiny

    model: Any = AutoencoderTiny
    return model(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(0, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    )


def new_scheduler() -> Any:
    """Stable Diffusion's noise levels, velocity prediction."""
    from diffusers import DDPMScheduler

    model: Any = DDPMScheduler
    return model(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def tiny_backbone(
    folder: str | Path, *, levels: int = 4, channels: int = WIDTH, layers: int = 2, seed: int = 0
) -> Path:
    """Write a random pipeline for images of 32 x 32, in the layout of Stable Diffusion; returns ``folder``.

    ``StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)`` loads it. With four levels of
    two layers the U-Net has Stable Diffusion's twelve skip tensors, the deepest of 1 x 1.

    Args:
        folder: where to.
        levels: down blocks of the U-Net, 1 to 4.
        channels: of every level; a multiple of 8, and more than 8 where four levels see a single row.
        layers: of every level.
        seed: of the random weights; the global random state is left as it was.
    """
    from diffusers import StableDiffusionPipeline
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    pipeline: Any = StableDiffusionPipeline
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer = new_tokenizer()
        pipeline(
            vae=new_vae(),
            text_encoder=new_text_encoder(tokenizer),
            tokenizer=tokenizer,
            unet=new_unet(levels, channels, layers),
            scheduler=new_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(folder)
    return Path(folder)


def slim_backbone(folder: str | Path) -> Path:
    """A ``tiny_backbone`` with every level and little in it, for what calls a network often; returns ``folder``."""
    return tiny_backbone(folder, channels=WIDTH // 2, layers=1)
