"""Checkpoints in the layout of HowardLi0816/LoyalDiffusion (``train_loyaldiffusion_sd21.py``, ``models/rau_unet.py``).

``checkpoint_front`` and ``checkpoint_tail`` are diffusers pipelines. The front's U-Net is a stock one. The tail's state
dict has further keys ``skip_conv_modules.N.weight`` and ``.bias``: a 3x3 convolution for the N-th skip tensor in push
order, where 0 is that of ``conv_in``. Which skips have one stands in no config there; here the keys tell it.

The repository's research code keeps its convolutions out of the state dict and draws them anew in every process
(``Repli_DiT/customize_unet.py``): such a tail has the keys of a stock U-Net.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from loyal.layers import Options
from loyal.rau_unet import add_transfer_blocks
from loyal.skips import CONFIG_KEY, hosts, skip_tensors
from replication_bench.embedders.weights import read_state
from replication_bench.errors import WeightsError
from replication_bench.trained.weights import check_fit

WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
WANT = f"a diffusers pipeline: unet/config.json and unet/{WEIGHTS[0]} or .bin"
CONVOLUTION = re.compile(r"skip_conv_modules\.(\d+)\.(weight|bias)")
State = dict[str, Tensor]


def find_weights(checkpoint: Path) -> Path:
    """The file with the U-Net's weights.

    Raises:
        WeightsError: the folder is no checkpoint.
    """
    folder = checkpoint / "unet"
    files = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not files or not (folder / "config.json").is_file():
        raise WeightsError("no checkpoint of LoyalDiffusion", where=checkpoint, want=WANT)
    return files[0]


def read_checkpoint(checkpoint: Path) -> tuple[dict[str, Any], State]:
    """Config and float32 weights of the U-Net in a checkpoint.

    Raises:
        WeightsError: no such folder, or files that cannot be read; of a ``.bin`` nothing but tensors is accepted.
    """
    file, folder = find_weights(checkpoint), checkpoint / "unet"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        plain = {key: value for key, value in config.items() if not key.startswith("_")}
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError("the checkpoint's config cannot be read", where=folder, got=error) from error
    state = read_state(file, "U-Net", f"Give {WANT}.")
    return plain, {key: value.float() for key, value in state.items()}


def new_unet(config: dict[str, Any], where: Path) -> Any:
    """A U-Net without weights.

    Raises:
        WeightsError: the config is of something else.
    """
    from diffusers import UNet2DConditionModel

    try:
        with torch.device("meta"):
            return UNet2DConditionModel.from_config(config)
    except (TypeError, ValueError, KeyError) as error:
        raise WeightsError("the config is not a U-Net's", where=where, got=error) from error


def filled(unet: Any, state: State, where: Path) -> nn.Module:
    """``unet`` with the weights ``state``, loaded strictly.

    Raises:
        WeightsError: keys or shapes differ.
    """
    theirs = authors_keys(unet)
    check_fit(state, {theirs.get(key, key): tensor for key, tensor in unet.state_dict().items()}, where)
    own = {key: state[theirs.get(key, key)] for key in unet.state_dict()}
    unet.load_state_dict(own, strict=True, assign=True)
    network: nn.Module = unet.requires_grad_(False).eval()
    return network


def authors_keys(unet: Any) -> dict[str, str]:
    """For the keys of ``unet``'s transfer blocks what the authors call them."""
    if CONFIG_KEY not in unet.config:
        return {}
    numbers = {tensor: number for number, tensor in enumerate(skip_tensors(unet))}
    return {
        f"{side}.{level}.transfer_blocks.{index}.{end}": f"skip_conv_modules.{numbers[tensor]}.{end}"
        for (side, level), tensors in hosts(unet, Options(**unet.config[CONFIG_KEY])).items()
        for index, tensor in enumerate(tensors)
        for end in ("weight", "bias")
    }


def load_front(checkpoint: Path, base: Any) -> nn.Module:
    """The stock U-Net of a checkpoint.

    Args:
        checkpoint: folder in the authors' layout.
        base: the U-Net of the pipeline that it is to stand in.

    Raises:
        WeightsError: see ``read_checkpoint``; or its architecture is not that of ``base``.
    """
    config, state = read_checkpoint(checkpoint)
    check_fit(state, base.state_dict(), checkpoint)
    return filled(new_unet(config, checkpoint), state, checkpoint)


def skips_of(unet: Any, state: State, where: Path) -> tuple[str, ...]:
    """The names of the skips that have a convolution in ``state``, in the order of the encoder.

    Raises:
        WeightsError: a number that this U-Net lacks.
    """
    names = [tensor.name for tensor in skip_tensors(unet)]
    numbers = {int(match[1]): key for key in state if (match := CONVOLUTION.fullmatch(key))}
    for number, key in numbers.items():
        if number >= len(names):
            raise WeightsError(
                "the checkpoint is of another architecture",
                where=where,
                got=key,
                want=f"numbers up to {len(names) - 1}",
            )
    return tuple(dict.fromkeys(names[number] for number in sorted(numbers)))


def load_tail(checkpoint: Path, base: Any, redraw: str = "", seed: int = 0) -> nn.Module:
    """The RAU-Net of a checkpoint.

    Args:
        checkpoint: folder in the authors' layout.
        base: see ``load_front``.
        redraw: for a tail without convolutions in its state dict: skips to draw new ones for, or ``none``.
        seed: of these.

    Raises:
        WeightsError: see ``load_front``; no convolutions and no ``redraw``, or both.
        ConfigError: unknown skips.
    """
    config, state = read_checkpoint(checkpoint)
    unet = new_unet(config, checkpoint)
    skips = skips_of(unet, state, checkpoint)
    if bool(skips) == bool(redraw):
        raise WeightsError(
            "the tail has transfer blocks of its own" if skips else "the tail has no transfer blocks",
            where=checkpoint,
            got=f"--redraw {redraw}" if skips else "the keys of a plain U-Net",
            hint=None
            if skips
            else "--redraw SC3,SC4 draws them as the research code does; --redraw none does without.",
        )
    plain = {key: value for key, value in state.items() if not CONVOLUTION.fullmatch(key)}
    check_fit(plain, base.state_dict(), checkpoint)
    if skips:
        return filled(add_transfer_blocks(unet, skips), state, checkpoint)
    network = filled(unet, state, checkpoint)
    if redraw == "none":
        return network
    return add_transfer_blocks(network, redraw, trainable=False, seed=seed).requires_grad_(False)
