"""How a run computes: keys of the configuration that change speed and memory, and results at most in the last bits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Switch = bool | Literal["auto"]
FASTER = ("cpu", "cuda")  # devices on which ``auto`` turns a switch on
Backend = Literal["no", "inductor", "cudagraphs", "aot_eager"]
# backends whose traced backward pass of attention views gradients as if they were contiguous, and fails on others
CONTIGUOUS = ("cudagraphs", "aot_eager")


class Section(BaseModel):
    """A part of the configuration: frozen, numbers are finite, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrainSpeed(Section):
    """How training computes. All but ``prefetch`` belong to the fingerprint.

    Attributes:
        optimiser: ``adamw``, or ``adamw-8bit`` of bitsandbytes, whose state takes a quarter of the memory.
        fused: AdamW as one kernel; ``auto`` on CUDA and the CPU.
        gradient_checkpointing: compute activations again in the backward pass instead of keeping them.
        accumulate: passes that a step's batch is split into; the step stays the same, the memory falls.
        compile: a backend of ``torch.compile`` for the network.
        channels_last: memory layout of the network; ``auto`` on CUDA and the CPU, not with ``CONTIGUOUS``.
        cache: latents and text states are kept in ``memory``, on ``disk`` (memory-mapped, shared between runs), or
            computed at every step (``none``).
        prefetch: steps whose captions and images are drawn ahead in another thread; ``auto`` is 2 on CUDA, else 0.
    """

    optimiser: Literal["adamw", "adamw-8bit"] = "adamw"
    fused: Switch = "auto"
    gradient_checkpointing: bool = False
    accumulate: int = Field(default=1, gt=0)
    compile: Backend = "no"
    channels_last: Switch = "auto"
    cache: Literal["memory", "disk", "none"] = "memory"
    prefetch: NonNegativeInt | Literal["auto"] = "auto"

    @field_validator("channels_last")
    @classmethod
    def fits_the_backend(cls, switch: Switch, info: ValidationInfo) -> Switch:
        """Refuse the layout that the chosen backend cannot train."""
        backend = info.data.get("compile")
        if switch is True and backend in CONTIGUOUS:
            raise PydanticCustomError(
                "layout", f"cannot be trained with compile = {backend}; want auto or false"
            )
        return switch


class SampleSpeed(Section):
    """How sampling computes. All but ``offload`` belong to the fingerprint.

    Attributes:
        precision: of the networks' weights and arithmetic; the sampler itself stays in float32.
        compile: as in training.
        channels_last: memory layout of the networks; ``auto`` on CUDA and the CPU.
        offload: keep only the network of the current timestep on the device.
    """

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: Backend = "no"
    channels_last: Switch = "auto"
    offload: bool = False


UNSEEN = {"train": ("prefetch",), "sample": ("offload",)}  # keys that cannot change a single bit
