"""Where the skip tensors of a U-Net come from and go to, and the hooks that put transfer blocks on them.

A transfer block is a module on a down or up block. The hooks are module-level functions that find the blocks on the
module they are called with. As closures they would keep calling the original's blocks after a deep copy. Part of what
an exported pipeline carries: see ``routed_unet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from loyal.layers import NoSkip, Options, new_block

CONFIG_KEY = "transfer_blocks"


class SkipTensor(NamedTuple):
    """One tensor that the encoder hands to the decoder.

    Attributes:
        name: ``conv_in`` or SC1, SC2, ... by down block.
        place: position among the tensors of that name.
        channels: its channels.
        up: the up block that consumes it.
        position: its place in that block's ``res_hidden_states_tuple``.
        incoming: channels of that block's input.
    """

    name: str
    place: int
    channels: int
    up: int
    position: int
    incoming: int


def pushed(block: Any) -> list[int]:
    """Channels of the skip tensors that a down block returns, in order."""
    return [layer.out_channels for layer in (*block.resnets, *(block.downsamplers or ()))]


def consumers(unet: Any, channels: Sequence[int]) -> list[tuple[int, int, int]]:
    """For each skip tensor in push order: up block, position in its tuple, channels of that block's input."""
    found: list[tuple[int, int, int]] = []
    stop = len(channels)
    for up, block in enumerate(unet.up_blocks):
        count = len(block.resnets)
        incoming = block.resnets[0].in_channels - channels[stop - 1]
        found[:0] = [(up, position, incoming) for position in range(count)]
        stop -= count
    return found


def skip_tensors(unet: Any) -> tuple[SkipTensor, ...]:
    """All skip tensors of a ``UNet2DConditionModel`` in push order; twelve for Stable Diffusion."""
    produced = [("conv_in", 0, unet.conv_in.out_channels)]
    for level, block in enumerate(unet.down_blocks, 1):
        produced += [(f"SC{level}", index, channels) for index, channels in enumerate(pushed(block))]
    ends = consumers(unet, [channels for _, _, channels in produced])
    return tuple(SkipTensor(*start, *end) for start, end in zip(produced, ends, strict=True))


def transform_pushed(
    host: nn.Module, args: tuple[Any, ...], output: tuple[Tensor, tuple[Tensor, ...]]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Forward hook of a down block: maps the skip tensors it returns; its hidden state passes unchanged."""
    hidden, skips = output
    return hidden, transformed(host, skips, hidden)


def transform_consumed(
    host: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Forward pre-hook of an up block: maps its ``res_hidden_states_tuple``."""
    skips = transformed(host, kwargs["res_hidden_states_tuple"], kwargs["hidden_states"])
    return args, {**kwargs, "res_hidden_states_tuple": skips}


def transformed(host: Any, skips: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, ...]:
    """``skips`` with each transfer block of ``host`` applied at its position."""
    out = list(skips)
    for position, block in zip(host.transfer_positions, host.transfer_blocks, strict=True):
        # hidden is the block's input here: no_skip stands only on up blocks
        out[position] = block(out[position], hidden) if isinstance(block, NoSkip) else block(out[position])
    return tuple(out)


def attach(host: Any, positions: tuple[int, ...], blocks: list[nn.Module], decoder: bool) -> None:
    """Register ``blocks`` on a down or up block, with the hook that applies them at ``positions``."""
    host.transfer_positions = positions
    host.transfer_blocks = nn.ModuleList(blocks)
    if decoder:
        host.register_forward_pre_hook(transform_consumed, with_kwargs=True)
    else:
        host.register_forward_hook(transform_pushed)


def on_decoder(tensor: SkipTensor, block: str) -> bool:
    """Whether a skip is transformed where it is consumed.

    The tensor of ``conv_in`` is the main path too, and ``no_skip`` needs the decoder block's input.
    """
    return tensor.name == "conv_in" or block == "no_skip"


def hosts(unet: Any, options: Options) -> dict[tuple[str, int], list[SkipTensor]]:
    """The chosen skip tensors by the block that transforms them: (``down_blocks`` or ``up_blocks``, its index)."""
    found: dict[tuple[str, int], list[SkipTensor]] = {}
    for tensor in skip_tensors(unet):
        if tensor.name not in options.skips:
            continue
        if on_decoder(tensor, options.block):
            found.setdefault(("up_blocks", tensor.up), []).append(tensor)
        else:
            found.setdefault(("down_blocks", int(tensor.name.removeprefix("SC")) - 1), []).append(tensor)
    return found


def put_blocks(unet: Any, options: Options) -> None:
    """Put transfer blocks with unset weights on a ``UNet2DConditionModel``; they take its device and dtype."""
    like = unet.conv_in.weight
    for (side, level), tensors in hosts(unet, options).items():
        decoder = side == "up_blocks"
        attach(
            getattr(unet, side)[level],
            tuple(tensor.position if decoder else tensor.place for tensor in tensors),
            [new_block(options, tensor.channels, like.device, like.dtype) for tensor in tensors],
            decoder,
        )
    unet.register_to_config(**{CONFIG_KEY: options._asdict()})
