"""The layers of transfer blocks: modules that map one skip tensor of a U-Net (arXiv 2412.01118).

The published choice is one 3x3 convolution (README and configs of HowardLi0816/LoyalDiffusion); the others are the
variants in that repository's research code. Part of what an exported pipeline carries: see ``routed_unet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Options(NamedTuple):
    """The options of transfer blocks as a config holds them; ``loyal.blocks.Transfer`` says what they mean."""

    skips: Sequence[str]
    block: str
    init: str
    trainable: bool
    convs: int
    seed: int


class MaxUnpool(nn.Module):
    """2x2 max-pool, then unpool: each window keeps its maximum in place, the rest becomes 0.

    LoyalDiffusion's variant ``max_pooling``. Windows that hang over an odd edge are kept.
    """

    def forward(self, skip: Tensor) -> Tensor:
        """Float [n, C, h, w] -> the same shape and dtype."""
        _, indices = functional.max_pool2d(skip.detach(), 2, ceil_mode=True, return_indices=True)
        # a mask instead of max_unpool2d, which has no deterministic implementation
        none = torch.zeros_like(skip, dtype=torch.bool).flatten(2)
        return skip.where(none.scatter(2, indices.flatten(2), True).view(skip.shape), 0)


class NoSkip(nn.Module):
    """The skip is removed: the decoder block's own input stands in for it, cropped to the skip's channels.

    LoyalDiffusion's class ``no_copy_crop``, which groups skips by decoder block; here they are named by
    encoder block, as for every other transfer block.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, skip: Tensor, incoming: Tensor) -> Tensor:
        """``skip`` [n, C, h, w] gives way to ``incoming`` [n, at least C, h, w]; returns [n, C, h, w]."""
        return incoming[:, : self.channels]


class Residual(nn.Module):
    """``x + body(x)``."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, skip: Tensor) -> Tensor:
        """Float [n, C, h, w] -> the same shape."""
        out: Tensor = skip + self.body(skip)
        return out


def new_conv(channels: int, device: torch.device | str, dtype: torch.dtype) -> nn.Conv2d:
    """A 3x3 convolution C -> C with unset weights: the global random state is not touched."""
    conv = nn.Conv2d(channels, channels, 3, padding=1, device="meta", dtype=dtype)
    return conv.to_empty(device=device)


def new_body(block: str, convs: Sequence[nn.Conv2d]) -> nn.Module:
    """The layers of a convolutional block, [n, C, h, w] -> the same shape."""
    if block == "conv3x3":
        return convs[0]
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.SiLU())))


def new_block(
    options: Options, channels: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A transfer block for a skip tensor of ``channels`` channels, with unset weights."""
    if options.block == "no_skip":
        return NoSkip(channels)
    if options.block in ("max_unpool", "identity"):
        return MaxUnpool() if options.block == "max_unpool" else nn.Identity()
    body = new_body(options.block, [new_conv(channels, device, dtype) for _ in range(options.convs)])
    block = Residual(body) if options.init == "zero_residual" else body
    return block.requires_grad_(options.trainable)
