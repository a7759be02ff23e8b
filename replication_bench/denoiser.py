"""The one interface between a method and the harness: ``denoiser(x_t, t, cond) -> prediction``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from replication_bench.method import Conditioning


class Denoiser(Protocol):
    """Predicts the scheduler's target (noise or velocity) from a noisy latent.

    Args of a call:
        x_t: noisy latents, float [n, c, h, w].
        t: timesteps, int64 [n]; 0 is clean. Rows may have different timesteps.
        cond: text states, float [n, length, width].

    Returns:
        The prediction, float [n, c, h, w].
    """

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See the class."""
        ...


@runtime_checkable
class Exportable(Protocol):
    """A denoiser that can leave as the ``unet`` of a diffusers pipeline."""

    def component(self) -> nn.Module:
        """The diffusers model that predicts what the denoiser predicts, sharing its weights.

        A class of diffusers', or one behind the door ``replication_bench.components``.
        """
        ...


class Pair(NamedTuple):
    """Unconditional and conditional prediction of the same latents, each float [n, c, h, w]."""

    uncond: Tensor
    cond: Tensor

    def guided(self, scale: float | Tensor) -> Tensor:
        """Classifier-free guidance (arXiv 2207.12598)."""
        return self.uncond + scale * (self.cond - self.uncond)


def predict_pair(denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning) -> Pair:
    """Both predictions in one call of 2n rows, the unconditional half first."""
    both = denoiser(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([states.uncond, states.cond]))
    return Pair(*both.chunk(2))


class UNetDenoiser(nn.Module):
    """One diffusers U-Net as a denoiser."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet = unet

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``."""
        prediction: Tensor = self.unet(x_t, t, encoder_hidden_states=cond, return_dict=False)[0]
        return prediction

    def component(self) -> nn.Module:
        """See ``Exportable``."""
        return self.unet


class PipelineUNet(nn.Module):
    """A denoiser in the shape that ``StableDiffusionPipeline`` expects of its ``unet``, for use in one process."""

    def __init__(self, denoiser: nn.Module, reference: Any):
        super().__init__()
        self.denoiser = denoiser
        self.config = reference.config
        self.add_embedding = getattr(reference, "add_embedding", None)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | int,
        encoder_hidden_states: Tensor,
        return_dict: bool = True,
        **_: Any,
    ) -> Any:
        """Call the denoiser with ``t`` expanded to [n]: pipelines pass a number or a 0-d tensor."""
        t = torch.as_tensor(timestep, device=sample.device).long().expand(len(sample))
        prediction = self.denoiser(sample, t, encoder_hidden_states)
        if not return_dict:
            return (prediction,)
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

        return UNet2DConditionOutput(sample=prediction)
