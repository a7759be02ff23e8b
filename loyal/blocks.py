"""Transfer blocks: modules that map one skip tensor of a U-Net, and the validated options that describe them.

The published choice is one 3x3 convolution with PyTorch's initialisation (arXiv 2412.01118; README and
configs of HowardLi0816/LoyalDiffusion). The other blocks are the variants in that repository's research code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from replication_bench.errors import ConfigError
from replication_bench.ranges import boolean, integer, one_of

SKIPS = ("conv_in", "SC1", "SC2", "SC3", "SC4")
CONVOLUTIONS = ("conv3x3", "conv3x3_silu", "multi_conv")
PARAMETER_FREE = ("max_unpool", "no_skip", "identity")
BLOCKS = CONVOLUTIONS + PARAMETER_FREE


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


Values = tuple[Tensor, Tensor]


def default_values(channels: int, generator: torch.Generator) -> Values:
    """PyTorch's own initialisation of a 3x3 convolution: weight and bias, uniform in +-1 / sqrt(9 C)."""
    weight = nn.init.kaiming_uniform_(
        torch.empty(channels, channels, 3, 3), a=math.sqrt(5), generator=generator
    )
    bound = 1 / math.sqrt(9 * channels)
    return weight, nn.init.uniform_(torch.empty(channels), -bound, bound, generator=generator)


def dirac_values(channels: int, generator: torch.Generator) -> Values:
    """The convolution that changes nothing: weight and bias."""
    return nn.init.dirac_(torch.empty(channels, channels, 3, 3)), torch.zeros(channels)


INITS: dict[str, Callable[[int, torch.Generator], Values]] = {
    "default": default_values,
    "dirac": dirac_values,
    "zero_residual": default_values,
}


def skip_names(value: object) -> tuple[str, ...]:
    """Names of skips from a sequence or a comma-separated text, in the order of the encoder.

    Raises:
        ConfigError: none, an unknown one, or one named twice.
    """
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not (names := list(names)) or names == [""]:
        raise ConfigError("no skip connections chosen", where="skips", got=repr(value), want=", ".join(SKIPS))
    for name in names:
        one_of("skip connection", name, SKIPS)
    if len(set(names)) < len(names):
        raise ConfigError("a skip connection is named twice", where="skips", got=", ".join(names))
    return tuple(sorted(names, key=SKIPS.index))


@dataclass(frozen=True)
class Transfer:
    """Which skips are transformed, and how.

    Attributes:
        skips: of ``SKIPS``; SC1..SC4 are all skip tensors of down blocks 0..3, ``conv_in`` is the first one.
        block: one of ``BLOCKS``.
        init: ``default`` as published; ``dirac`` makes each convolution the identity; ``zero_residual``
            adds the block, started at zero, to the skip.
        trainable: whether the blocks' parameters are trained; registered and saved either way.
        convs: convolutions of ``multi_conv``.
        seed: of the initial weights.

    Raises:
        ConfigError: an unknown name, a value out of range, or an option that the block does not have.
    """

    skips: tuple[str, ...] = ("SC3", "SC4")
    block: str = "conv3x3"
    init: str = "default"
    trainable: bool = True
    convs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "skips", skip_names(self.skips))
        one_of("transfer block", self.block, BLOCKS)
        one_of("initialisation", self.init, INITS)
        boolean("trainable", self.trainable)
        integer("convs", self.convs, 1)
        integer("seed", self.seed, 0)
        if self.block in PARAMETER_FREE and self.init != "default":
            raise ConfigError(
                f"the block '{self.block}' has nothing to initialise", where="init", got=self.init
            )
        if self.block != "multi_conv" and self.convs != 1:
            raise ConfigError(f"the block '{self.block}' has one size", where="convs", got=self.convs, want=1)

    def as_config(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {**asdict(self), "skips": list(self.skips)}


def new_conv(channels: int, device: torch.device | str, dtype: torch.dtype) -> nn.Conv2d:
    """A 3x3 convolution C -> C with unset weights: the global random state is not touched."""
    conv = nn.Conv2d(channels, channels, 3, padding=1, device="meta", dtype=dtype)
    return conv.to_empty(device=device)


def new_body(transfer: Transfer, convs: Sequence[nn.Conv2d]) -> nn.Module:
    """The layers of a convolutional block, [n, C, h, w] -> the same shape."""
    if transfer.block == "conv3x3":
        return convs[0]
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.SiLU())))


def new_block(
    transfer: Transfer, channels: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A transfer block for a skip tensor of ``channels`` channels; ``draw`` sets its weights."""
    if transfer.block == "no_skip":
        return NoSkip(channels)
    if transfer.block in PARAMETER_FREE:
        return MaxUnpool() if transfer.block == "max_unpool" else nn.Identity()
    body = new_body(transfer, [new_conv(channels, device, dtype) for _ in range(transfer.convs)])
    block = Residual(body) if transfer.init == "zero_residual" else body
    return block.requires_grad_(transfer.trainable)


@torch.no_grad()
def draw(block: nn.Module, init: str, generator: torch.Generator) -> None:
    """Set the weights of ``block``, drawn on the CPU in float32 so that every device gets the same ones."""
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d) and not m.weight.is_meta]
    for conv in convs:
        weight, bias = INITS[init](conv.in_channels, generator)
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(bias)
    if init == "zero_residual" and convs:
        # only the last: behind a convolution of zeros the others would get no gradient
        for parameter in convs[-1].parameters():
            parameter.zero_()
