"""The networks: open_clip's CLIP with an EfficientNet-Lite0 image tower and a small text transformer.

This module, ``views``, ``steps`` and ``train`` need torch, numpy, safetensors and open_clip alone, so that they run
where nothing else is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDTH = 256
LENGTH = 24
PIXELS = 128
GROUPS = 4
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what EfficientNet-Lite0 was trained with
KEPT = 5  # stages of the image tower that stay as ImageNet made them: nine tenths of the work


def config(vocabulary: int) -> dict[str, Any]:
    """open_clip's ``open_clip_config.json``; the highest token is the end of the text, where it is read."""
    return {
        "model_cfg": {
            "embed_dim": WIDTH,
            "vision_cfg": {
                "timm_model_name": "tf_efficientnet_lite0",
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "linear",
                "image_size": PIXELS,
            },
            "text_cfg": {
                "context_length": LENGTH,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "pocket-clip",  # open_clip reads the tokenizer beside this file
                "tokenizer_kwargs": {"strip_sep_token": False},
                "width": WIDTH,
                "heads": 8,
                "layers": 3,
            },
        },
        "preprocess_cfg": {
            "mean": list(MEAN),
            "std": list(STD),
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }


def new_model(vocabulary: int) -> torch.nn.Module:
    """Random networks."""
    from open_clip.model import CLIP

    return CLIP(**config(vocabulary)["model_cfg"])


def load_tower(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Put the prepared image tower into ``model``: trunk and projection, strictly."""
    prefix = "tower."
    state = {
        key.removeprefix(prefix): torch.from_numpy(
            value.astype(np.float32) if value.dtype == np.float16 else value
        )
        for key, value in arrays.items()
        if key.startswith(prefix)
    }
    model.visual.load_state_dict(state, strict=True)


def normalised(pixels: Tensor) -> Tensor:
    """Pixels float [n, 3, H, W] in [0, 1] to what the image tower takes."""
    mean, std = (pixels.new_tensor(value).view(1, 3, 1, 1) for value in (MEAN, STD))
    return (pixels - mean) / std


def lower(visual: Any, pixels: Tensor) -> Tensor:
    """What the kept stages make of normalised pixels [n, 3, 128, 128]: maps [n, 112, 8, 8]."""
    trunk = visual.trunk
    maps = trunk.bn1(trunk.conv_stem(pixels))
    for stage in trunk.blocks[:KEPT]:
        maps = stage(maps)
    return maps


def upper(visual: Any, maps: Tensor) -> Tensor:
    """The rest of the image tower: maps of ``lower`` to vectors [n, WIDTH], any norm."""
    trunk = visual.trunk
    for stage in trunk.blocks[KEPT:]:
        maps = stage(maps)
    return visual.head(trunk.forward_head(trunk.bn2(trunk.conv_head(maps))))


def trained_part(visual: Any) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Parameters of ``upper``: those that ImageNet made, and the new projection."""
    trunk = visual.trunk
    old = [p for part in (*trunk.blocks[KEPT:], trunk.conv_head, trunk.bn2) for p in part.parameters()]
    return old, list(visual.head.parameters())


def encode_short(model: Any, tokens: Tensor) -> Tensor:
    """As open_clip's ``encode_text``, any norm, in groups of like length without the places behind the longest.

    The mask is causal and the vector is read at the end of a text, so that what follows it changes nothing.
    """
    order = tokens.argmax(1).argsort(stable=True)
    rows = torch.cat([encode_group(model, tokens[group]) for group in order.chunk(GROUPS)])
    return rows[order.argsort()]


def encode_group(model: Any, tokens: Tensor) -> Tensor:
    """See ``encode_short``."""
    end = tokens.argmax(1)
    length = int(end.max()) + 1
    states = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    states = model.transformer(states, attn_mask=model.attn_mask[:length, :length])
    return model.ln_final(states)[torch.arange(len(tokens), device=end.device), end] @ model.text_projection
