"""What launched this process, read from the environment, and what of a launch contradicts a recipe.

``accelerate launch``, ``torchrun`` and MPI all say through variables which process this is. Nothing here imports torch,
so that a command that runs alone stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from replication_bench.errors import ConfigError

if TYPE_CHECKING:
    from replication_bench.config import TrainConfig

# torchrun, Intel MPI, Open MPI, MVAPICH: the ones that Accelerate knows
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
LOCAL_COUNTS = (
    "LOCAL_WORLD_SIZE",
    "MPI_LOCALNRANKS",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
)
REFUSED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}


@dataclass(frozen=True)
class Launch:
    """Which process this is, of how many; on this machine there are ``local``."""

    rank: int
    count: int
    local: int


def number(names: Sequence[str]) -> int | None:
    """The first of the variables that holds a number that is not negative."""
    values = (os.environ.get(name, "") for name in names)
    return next((int(value) for value in values if value.isdigit()), None)


def flag(name: str) -> bool:
    """Whether a variable of Accelerate says yes."""
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on", "y", "t")


def launched() -> Launch:
    """This process as its launcher described it; alone where nothing launched it."""
    rank, count = number(RANKS), number(COUNTS)
    if rank is None or count is None or count < 2:
        return Launch(0, 1, 1)
    return Launch(rank, count, number(LOCAL_COUNTS) or count)


def on_cpu() -> bool:
    """Whether the launcher asks for the CPU even where there is a GPU."""
    return flag("ACCELERATE_USE_CPU")


def sharded() -> bool:
    """Whether weights and optimiser states are to be cut into shards, by FSDP."""
    return flag("ACCELERATE_USE_FSDP")


def check_command(command: str | None) -> None:
    """Refuse several processes for a command that would do the same work in each.

    Raises:
        ConfigError: names the command.
    """
    count = launched().count
    if count > 1 and command not in (None, "run"):
        raise ConfigError(
            f"'{command}' runs in one process",
            got=f"{count} processes",
            want="no launcher, or the command 'run'",
        )


def check_launch(device: str, devices: int) -> None:
    """Refuse a launch that replbench cannot follow, whatever the recipe; one process is launched as well as several.

    Args:
        device: ``cuda`` or ``cpu``.
        devices: GPUs that this machine has.

    Raises:
        ConfigError: names the setting of the launch.
    """
    for name, title in REFUSED.items():
        if flag(name):
            raise ConfigError(
                f"replbench does not train with {title}",
                where=name,
                got="true",
                want="plain processes, or FSDP",
            )
    local = launched().local
    if device == "cuda" and local > devices:
        raise ConfigError(
            "more processes than GPUs on this machine",
            where="--num_processes",
            got=f"{local} processes and {devices} GPUs",
            hint="Lower --num_processes.",
        )
    if sharded():
        check_fsdp()
    check_steps()


def check_fsdp() -> None:
    """Refuse FSDP in one process, which has nobody to share weights with, and the version of it that flattens them.

    Raises:
        ConfigError: names the option of the launcher.
    """
    if launched().count == 1:
        raise ConfigError(
            "FSDP cuts weights into shards for several processes",
            where="--use_fsdp",
            got="one process",
            want="--num_processes of 2 or more, or no --use_fsdp",
        )
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise ConfigError("FSDP version 1 flattens weights", where="--fsdp_version", got=version, want="2")


def check_steps() -> None:
    """Refuse a launch that changes how a step is computed: the recipe says that, and stands in the fingerprint."""
    for name, option in (
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "--gradient_accumulation_steps"),
        ("ACCELERATE_DYNAMO_BACKEND", "--dynamo_backend"),
    ):
        value = os.environ.get(name, "no").lower()
        if value not in ("no", "1"):
            raise ConfigError(
                "the recipe alone says how a step is computed", where=option, got=value, hint="Leave it out."
            )


def check_sharding(kind: str) -> None:
    """Refuse FSDP where Accelerate would leave it out without a word.

    Args:
        kind: Accelerate's name of how the processes are joined.

    Raises:
        ConfigError: on CPUs.
    """
    if sharded() and kind.endswith("CPU"):
        raise ConfigError(
            "Accelerate shards weights on GPUs only", where="--use_fsdp", got="CPUs", hint="Leave it out."
        )


def check_recipe(train: TrainConfig, precision: str) -> None:
    """Refuse a launch that contradicts the recipe.

    Args:
        train: the recipe's section.
        precision: Accelerate's name of the mixed precision that the recipe chose.

    Raises:
        ConfigError: names both.
    """
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    if asked not in ("no", precision):
        known = asked in get_args(type(train).model_fields["precision"].annotation)
        follow = f"Give --set train.precision={asked}, or launch" if known else "Launch"
        raise ConfigError(
            "the launch contradicts the recipe",
            where="--mixed_precision",
            got=asked,
            want=f"{precision}, from train.precision",
            hint=f"{follow} with --mixed_precision no.",
        )
    count = launched().count
    if count > train.batch_size:
        raise ConfigError(
            "more processes than rows in a step",
            where="--num_processes",
            got=count,
            want=f"at most train.batch_size = {train.batch_size}",
        )
    if sharded():
        check_shards(train)


def check_shards(train: TrainConfig) -> None:
    """Refuse what FSDP cannot cut into shards.

    Raises:
        ConfigError: names the key.
    """
    for key, value, wanted in (
        ("optimiser", train.optimiser, ("adamw",)),
        ("channels_last", train.channels_last, ("auto", False)),
    ):
        if value not in wanted:
            raise ConfigError(
                "FSDP cannot cut this into shards",
                where=f"train.{key}",
                got=value,
                want=f"{wanted[0]}, or no --use_fsdp",
            )
