"""The validated options of transfer blocks, and their initial weights.

The published choice is one 3x3 convolution with PyTorch's initialisation (arXiv 2412.01118; README and
configs of HowardLi0816/LoyalDiffusion).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from loyal.layers import Options
from replication_bench.errors import ConfigError
from replication_bench.ranges import boolean, integer, one_of

SKIPS = ("conv_in", "SC1", "SC2", "SC3", "SC4")
CONVOLUTIONS = ("conv3x3", "conv3x3_silu", "multi_conv")
PARAMETER_FREE = ("max_unpool", "no_skip", "identity")
BLOCKS = CONVOLUTIONS + PARAMETER_FREE
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
        one_of("skips", name, SKIPS, "skip connection")
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
        one_of("block", self.block, BLOCKS, "transfer block")
        one_of("init", self.init, INITS, "initialisation")
        boolean("trainable", self.trainable)
        integer("convs", self.convs, 1)
        integer("seed", self.seed, 0)
        if self.block in PARAMETER_FREE and self.init != "default":
            raise ConfigError(
                f"the block '{self.block}' has nothing to initialise", where="init", got=self.init
            )
        if self.block != "multi_conv" and self.convs != 1:
            raise ConfigError(f"the block '{self.block}' has one size", where="convs", got=self.convs, want=1)

    @property
    def options(self) -> Options:
        """The same for a config: JSON values."""
        return Options(**{**asdict(self), "skips": list(self.skips)})


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
