"""RAU-Net (arXiv 2412.01118) out of a stock diffusers U-Net, without a forward of its own.

For each chosen skip tensor h the decoder concatenates ``block(h)`` where it would concatenate h; the main
path is untouched. The blocks are registered modules: trained, saved and loaded strictly. In the research code
of HowardLi0816/LoyalDiffusion they sit in a tuple, where optimiser and checkpoint miss them;
``trainable=False`` and ``redrawn`` give that behaviour.

The hooks are module-level functions that find the blocks on the module they are called with. As closures they
would keep calling the original's blocks after a deep copy.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from loyal.blocks import NoSkip, Transfer, draw, new_block, skip_names
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.seeds import Seeds

CONFIG_KEY = "transfer_blocks"
UNet = TypeVar("UNet", bound=nn.Module)


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


def chosen_tensors(unet: Any, transfer: Transfer) -> list[SkipTensor]:
    """The skip tensors that ``transfer`` names.

    Raises:
        ConfigError: the U-Net has no such skip, or ``no_skip`` finds too few channels to stand in for one.
    """
    tensors = skip_tensors(unet)
    present = dict.fromkeys(tensor.name for tensor in tensors)
    for name in transfer.skips:
        if name not in present:
            raise ConfigError(f"this U-Net has no skip connection {name}", want=", ".join(present))
    chosen = [tensor for tensor in tensors if tensor.name in transfer.skips]
    for tensor in chosen:
        if transfer.block == "no_skip" and tensor.incoming < tensor.channels:
            raise ConfigError(
                f"no_skip cannot replace {tensor.name}",
                got=f"{tensor.incoming} channels into up block {tensor.up}",
                want=f"at least the skip's {tensor.channels}",
            )
    return chosen


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


def on_decoder(tensor: SkipTensor, transfer: Transfer) -> bool:
    """Whether a skip is transformed where it is consumed.

    The tensor of ``conv_in`` is the main path too, and ``no_skip`` needs the decoder block's input.
    """
    return tensor.name == "conv_in" or transfer.block == "no_skip"


def attach(host: Any, positions: tuple[int, ...], blocks: list[nn.Module], decoder: bool) -> None:
    """Register ``blocks`` on a down or up block, with the hook that applies them at ``positions``."""
    host.transfer_positions = positions
    host.transfer_blocks = nn.ModuleList(blocks)
    if decoder:
        host.register_forward_pre_hook(transform_consumed, with_kwargs=True)
    else:
        host.register_forward_hook(transform_pushed)


def hosts(unet: Any, transfer: Transfer) -> dict[tuple[bool, int], list[SkipTensor]]:
    """The chosen skip tensors by the block that transforms them: (is it an up block, its index)."""
    found: dict[tuple[bool, int], list[SkipTensor]] = {}
    for tensor in chosen_tensors(unet, transfer):
        decoder = on_decoder(tensor, transfer)
        level = tensor.up if decoder else int(tensor.name.removeprefix("SC")) - 1
        found.setdefault((decoder, level), []).append(tensor)
    return found


def add_transfer_blocks(
    unet: UNet,
    skips: Sequence[str] | str = ("SC3", "SC4"),
    block: str = "conv3x3",
    init: str = "default",
    trainable: bool = True,
    convs: int = 1,
    seed: int = 0,
) -> UNet:
    """Put transfer blocks on the skips of a ``UNet2DConditionModel``, in place; returns it.

    The options are those of ``Transfer`` and are kept in the U-Net's config. New state-dict keys are exactly
    those of the blocks; they take the U-Net's device and dtype, and the global random state is not used.

    Raises:
        ConfigError: an option that cannot be meant, a skip that this U-Net lacks, or blocks added before.
    """
    model: Any = unet
    transfer = Transfer(skip_names(skips), block, init, trainable, convs, seed)
    if CONFIG_KEY in model.config:
        raise ConfigError("this U-Net already has transfer blocks", got=model.config[CONFIG_KEY])
    like = model.conv_in.weight
    for (decoder, level), tensors in hosts(model, transfer).items():
        attach(
            (model.up_blocks if decoder else model.down_blocks)[level],
            tuple(tensor.position if decoder else tensor.place for tensor in tensors),
            [new_block(transfer, tensor.channels, like.device, like.dtype) for tensor in tensors],
            decoder,
        )
    draw_all(model, init, seed)
    model.register_to_config(**{CONFIG_KEY: transfer.as_config()})
    return unet


def transfer_modules(unet: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The transfer blocks with their qualified names, such as ``down_blocks.2.transfer_blocks.0``."""
    for name, module in unet.named_modules():
        if name.rpartition(".")[0].endswith(".transfer_blocks"):
            yield name, module


def draw_all(unet: nn.Module, init: str, seed: int) -> None:
    """Set the weights of every transfer block, each from its own stream."""
    for name, block in transfer_modules(unet):
        draw(block, init, Seeds(seed).torch("transfer", name))


def redrawn(unet: UNet, seed: int) -> UNet:
    """A U-Net with other transfer weights that shares all its other weights with ``unet``.

    The behaviour of LoyalDiffusion's research code, whose unregistered convolutions every process draws anew.
    """
    own = {id(tensor) for _, block in transfer_modules(unet) for tensor in block.parameters()}
    shared: dict[int, Any] = {
        id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers()) if id(tensor) not in own
    }
    twin = copy.deepcopy(unet, shared)
    config: Any = unet.config
    draw_all(twin, config[CONFIG_KEY]["init"], seed)
    return twin


def transfer_keys(unet: nn.Module) -> set[str]:
    """The state-dict keys of the transfer blocks."""
    return {key for key in unet.state_dict() if "transfer_blocks" in key.split(".")}


def load_base_weights(unet: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a plain U-Net's state dict into one that has transfer blocks: the only load that is not strict.

    Raises:
        WeightsError: the missing keys are not exactly those of the transfer blocks, or there are others.
    """
    keys = set(unet.state_dict())
    wrong = (keys - set(state)) ^ transfer_keys(unet) | (set(state) - keys)
    if wrong:
        raise WeightsError(
            "not the weights of the plain U-Net", got=f"{len(wrong)} keys that differ, such as {min(wrong)}"
        )
    unet.load_state_dict(state, strict=False)


def load_rau_unet(folder: str | Path) -> nn.Module:
    """A U-Net with transfer blocks from what ``save_pretrained`` wrote; strict, in the stored dtype.

    Raises:
        WeightsError: a file cannot be read, the config has no usable transfer blocks, or keys differ.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        state = load_file(Path(folder) / "diffusion_pytorch_model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError("the U-Net cannot be read", where=folder, got=error) from error
    unet = from_config(config, folder).to(next(iter(state.values())).dtype)
    try:
        unet.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError("the weights do not fit their config", where=folder, got=error) from error
    return unet.eval()


def from_config(config: dict[str, Any], where: object) -> nn.Module:
    """An untrained RAU-Net from a saved config.

    Raises:
        WeightsError: the config names no transfer blocks, or options that are not theirs.
    """
    from diffusers import UNet2DConditionModel

    options = config.pop(CONFIG_KEY, None)
    if not isinstance(options, dict) or set(options) - {option.name for option in fields(Transfer)}:
        raise WeightsError("not the config of a U-Net with transfer blocks", where=where, got=options)
    model: Any = UNet2DConditionModel
    unet: nn.Module = model.from_config(config)
    return add_transfer_blocks(unet, **options)
