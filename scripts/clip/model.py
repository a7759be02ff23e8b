"""The networks: open_clip's CLIP with an EfficientNet-Lite0 image tower and a small text transformer.

This module and ``train`` need torch, numpy, safetensors and open_clip alone, so that they run where nothing else is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDTH = 256
LENGTH = 24
PIXELS = 128
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what EfficientNet-Lite0 was trained with


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
