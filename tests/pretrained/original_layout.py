"""Writes a pipeline's weights under the names that CompVis and Stability AI gave them, in one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Rules = list[tuple[str, Any]]
RESNET: Rules = [
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.conv_shortcut\.", ".skip_connection."),
]
UNET: Rules = [
    (r"^conv_in\.", "input_blocks.0.0."),
    (r"^time_embedding\.linear_1\.", "time_embed.0."),
    (r"^time_embedding\.linear_2\.", "time_embed.2."),
    (r"^conv_norm_out\.", "out.0."),
    (r"^conv_out\.", "out.2."),
    (r"^down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.0"),
    (r"^down_blocks\.(\d)\.attentions\.(\d)", lambda m: f"input_blocks.{3 * int(m[1]) + int(m[2]) + 1}.1"),
    (r"^down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op"),
    (r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.0"),
    (r"^up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{3 * int(m[1]) + int(m[2])}.1"),
    (
        r"^up_blocks\.(\d)\.upsamplers\.0\.conv",
        lambda m: f"output_blocks.{3 * int(m[1]) + 2}.{1 if m[1] == '0' else 2}.conv",
    ),
]
VAE: Rules = [
    (r"down_blocks\.(\d)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{3 - int(m[1])}.block."),
    (r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{3 - int(m[1])}.upsample."),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
]
OPEN_CLIP: Rules = [
    (r"^embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^final_layer_norm", "ln_final"),
    (r"^encoder\.layers", "transformer.resblocks"),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    (r"self_attn", "attn"),
]


def renamed(state: dict[str, Tensor], rules: Rules, prefix: str) -> dict[str, Tensor]:
    found = {}
    for name, value in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[prefix + name] = value
    return found


def unet_weights(unet: Any) -> dict[str, Tensor]:
    state = unet.state_dict()
    resnets = {name for name in state if ".resnets." in name}
    plain = renamed({n: v for n, v in state.items() if n not in resnets}, UNET, "model.diffusion_model.")
    return plain | renamed(
        {n: state[n] for n in state if n in resnets}, UNET + RESNET, "model.diffusion_model."
    )


def vae_weights(vae: Any) -> dict[str, Tensor]:
    found = renamed(vae.state_dict(), VAE, "first_stage_model.")
    return {n: v[:, :, None, None] if ".attn_1." in n and v.ndim == 2 else v for n, v in found.items()}


def open_clip_weights(text_encoder: Any) -> dict[str, Tensor]:
    state = dict(text_encoder.state_dict())
    for layer in range(text_encoder.config.num_hidden_layers):
        for end in ("weight", "bias"):
            names = [f"encoder.layers.{layer}.self_attn.{part}_proj.{end}" for part in "qkv"]
            state[f"encoder.layers.{layer}.self_attn.in_proj_{end}"] = torch.cat(
                [state.pop(n) for n in names]
            )
    return renamed(state, OPEN_CLIP, "cond_stage_model.model.")


def write_original(parts: dict[str, Any], path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Open CLIP's names for the text encoder of SD 2.x, whose U-Net projects linearly; OpenAI's for SD 1.x."""
    if parts["unet"].config.use_linear_projection:
        text = open_clip_weights(parts["text_encoder"])
    else:
        text = renamed(parts["text_encoder"].state_dict(), [], "cond_stage_model.transformer.text_model.")
    weights = unet_weights(parts["unet"]) | vae_weights(parts["vae"]) | text
    save_file({name: value.to(dtype).contiguous() for name, value in weights.items()}, path)
    return path
