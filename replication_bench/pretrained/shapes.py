"""The shapes of Stable Diffusion's parts as their published configurations give them, and narrow versions of them.

Numbers: the files ``*/config.json`` and ``scheduler/scheduler_config.json`` of stabilityai/stable-diffusion-2-1,
stabilityai/stable-diffusion-2-1-base and stable-diffusion-v1-5/stable-diffusion-v1-5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from replication_bench.errors import ConfigError, did_you_mean

Config = dict[str, Any]
MINI = "-mini"


@dataclass(frozen=True)
class Shape:
    """One architecture.

    Attributes:
        pixels: image side it was trained at.
        prediction: what the U-Net predicts.
        pad: the text that fills prompts up to 77 tokens.
        unet: what differs from diffusers' defaults of ``UNet2DConditionModel``.
        vae: likewise of ``AutoencoderKL``.
        text: likewise of transformers' ``CLIPTextConfig``, without what the tokenizer decides.
    """

    pixels: int
    prediction: Literal["epsilon", "v_prediction"]
    pad: str
    unet: Config
    vae: Config
    text: Config

    @property
    def scheduler(self) -> Config:
        """What differs from diffusers' defaults of ``DDIMScheduler``."""
        return {
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "clip_sample": False,
            "set_alpha_to_one": False,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "prediction_type": self.prediction,
        }


VAE: Config = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "scaling_factor": 0.18215,
}
UNET: Config = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
SD15 = Shape(
    pixels=512,
    prediction="epsilon",
    pad="<|endoftext|>",
    unet={**UNET, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    vae={**VAE, "sample_size": 512},
    text={
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "hidden_act": "quick_gelu",
        "projection_dim": 768,
    },
)
SD21 = Shape(
    pixels=768,
    prediction="v_prediction",
    pad="!",
    unet={
        **UNET,
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
    vae={**VAE, "sample_size": 768},
    text={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 23,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
        "projection_dim": 512,
    },
)
SD21_BASE = replace(
    SD21,
    pixels=512,
    prediction="epsilon",
    unet={**SD21.unet, "sample_size": 64, "upcast_attention": False},
    vae={**VAE, "sample_size": 512},
)
SHAPES = {"sd15": SD15, "sd21": SD21, "sd21-base": SD21_BASE}


def mini(shape: Shape) -> Shape:
    """The same classes, levels and kinds of blocks at about a tenth of the widths, for images of 64 px."""
    heads = shape.unet["attention_head_dim"]
    return replace(
        shape,
        pixels=64,
        unet={
            **shape.unet,
            "sample_size": 8,
            "block_out_channels": (32, 64, 128, 128),
            "norm_num_groups": 16,
            "cross_attention_dim": 64,
            "attention_head_dim": heads if isinstance(heads, int) else (1, 2, 4, 4),
        },
        vae={**shape.vae, "sample_size": 64, "block_out_channels": (16, 32, 64, 64), "norm_num_groups": 8},
        text={
            **shape.text,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "projection_dim": 64,
        },
    )


def shape_names() -> list[str]:
    """Every shape by name, the narrow ones included."""
    return [name + end for name in SHAPES for end in ("", MINI)]


def find_shape(name: str) -> Shape:
    """The shape ``name``.

    Raises:
        ConfigError: no such shape.
    """
    if name not in shape_names():
        raise ConfigError(f"unknown shape '{name}'", hint=did_you_mean(name, shape_names()))
    shape = SHAPES[name.removesuffix(MINI)]
    return mini(shape) if name.endswith(MINI) else shape
