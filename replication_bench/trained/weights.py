"""Trained weights and checkpoints read from files: what does not fit the network is told in one line."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from replication_bench.errors import WeightsError
from replication_bench.processes import sharded

OTHER = "{} of another architecture"
AGAIN = "Remove {} and give the command that trained it again: it trains anew from there."
PARTS = {"images": int, "network": dict, "average": dict, "optimiser": dict}


def check_fit(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: Path,
    what: str = "the checkpoint is",
    hint: str | None = None,
) -> None:
    """Whether ``state`` has the keys and shapes of ``expected``.

    Raises:
        WeightsError: names the first that differs.
    """

    def differs(got: str, want: str) -> WeightsError:
        return WeightsError(OTHER.format(what), where=where, got=got, want=want, hint=hint)

    for key, tensor in expected.items():
        if key not in state:
            raise differs(f"no {key}", f"{key} {list(tensor.shape)}")
        if state[key].shape != tensor.shape:
            raise differs(f"{key} {list(state[key].shape)}", str(list(tensor.shape)))
    for key in state:
        if key not in expected:
            raise differs(f"{key} {list(state[key].shape)}", "no such key")


def check_finite(state: Mapping[str, Tensor], where: object) -> None:
    """Whether trained weights are numbers; waits for the device.

    Raises:
        WeightsError: they are not.
    """
    broken = [name for name, value in state.items() if not bool(value.isfinite().all())]
    if broken:
        raise WeightsError(
            "training diverged",
            where=where,
            got=f"{len(broken)} of {len(state)} tensors that are not finite, such as {broken[0]}",
            hint="Lower train.learning_rate or raise train.warmup_images.",
        )


def load_network(network: nn.Module, final: Path) -> nn.Module:
    """``network`` with the trained weights in the file ``final``, loaded strictly.

    Raises:
        WeightsError: the file is missing or damaged, or holds weights of another network.
    """
    hint = AGAIN.format(final.parent)
    try:
        state = load_file(final)
    except (OSError, SafetensorError) as error:
        raise WeightsError("the trained weights cannot be read", where=final, got=error, hint=hint) from error
    check_fit(state, network.state_dict(), final, "the trained weights are", hint)
    network.load_state_dict(state, strict=True)
    return network


def read_checkpoint(path: Path, device: str, network: Mapping[str, Tensor], average: bool) -> dict[str, Any]:
    """What ``TrainingState.save`` wrote: ``images``, ``network``, ``average`` and ``optimiser``.

    Args:
        path: the file; nothing but tensors and plain values is accepted in it.
        device: where the tensors go.
        network: what the network's state dict must fit.
        average: whether averaged weights are wanted.

    Raises:
        WeightsError: the file is damaged, or of another network or way of training.
    """
    hint = AGAIN.format(path)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise WeightsError("the checkpoint cannot be read", where=path, got=first, hint=hint) from error
    if not isinstance(state, dict) or any(not isinstance(state.get(k), kind) for k, kind in PARTS.items()):
        got = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise WeightsError("this is no checkpoint", where=path, got=got, want=", ".join(PARTS), hint=hint)
    check_fit(state["network"], network, path, hint=hint)
    check_fit(state["average"], network if average else {}, path, hint=hint)
    return state


def load_optimiser(optimiser: Any, state: dict[str, Any], path: Path) -> None:
    """Put the whole state of a checkpoint into an optimiser, whose parameters may be cut into shards.

    Raises:
        WeightsError: it is that of another one.
    """
    try:
        optimiser.load_state_dict(sharded.like_parameters(state, optimiser))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise WeightsError(
            "the checkpoint is of another optimiser", where=path, got=error, hint=AGAIN.format(path)
        ) from error
