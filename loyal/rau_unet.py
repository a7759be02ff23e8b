"""RAU-Net (arXiv 2412.01118) out of a stock diffusers U-Net, without a forward of its own.

For each chosen skip tensor h the decoder concatenates ``block(h)`` where it would concatenate h; the main
path is untouched. The blocks are registered modules: trained, saved and loaded strictly. In the research code
of HowardLi0816/LoyalDiffusion they sit in a tuple, where optimiser and checkpoint miss them;
``trainable=False`` and ``redrawn`` give that behaviour.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from loyal.blocks import Transfer, draw, skip_names
from loyal.skips import CONFIG_KEY, put_blocks, skip_tensors
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.seeds import Seeds

PLAIN = "a plain UNet2DConditionModel, such as the backbone that the run began from"
UNet = TypeVar("UNet", bound=nn.Module)


def check_skips(unet: Any, transfer: Transfer) -> None:
    """Whether ``transfer`` can be put on this U-Net.

    Raises:
        ConfigError: several U-Nets in one, blocks added before, no such skip, or ``no_skip`` finds too few channels
            to stand in for one.
    """
    if not hasattr(unet, "down_blocks"):
        raise ConfigError("transfer blocks are put on one U-Net", got=type(unet).__name__, want=PLAIN)
    if CONFIG_KEY in unet.config:
        raise ConfigError("this U-Net already has transfer blocks", got=unet.config[CONFIG_KEY], want=PLAIN)
    tensors = skip_tensors(unet)
    present = dict.fromkeys(tensor.name for tensor in tensors)
    for name in transfer.skips:
        if name not in present:
            raise ConfigError(f"this U-Net has no skip connection {name}", want=", ".join(present))
    for tensor in (tensor for tensor in tensors if tensor.name in transfer.skips):
        if transfer.block == "no_skip" and tensor.incoming < tensor.channels:
            raise ConfigError(
                f"no_skip cannot replace {tensor.name}",
                got=f"{tensor.incoming} channels into up block {tensor.up}",
                want=f"at least the skip's {tensor.channels}",
            )


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
        ConfigError: a bad option, a skip that this U-Net lacks, several U-Nets, or blocks added before.
    """
    model: Any = unet
    transfer = Transfer(skip_names(skips), block, init, trainable, convs, seed)
    check_skips(model, transfer)
    put_blocks(model, transfer.options)
    draw_all(model, init, seed)
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
