"""What a denoiser's prediction says of the noise and of the clean latents, whatever the prediction type.

With abar_t the cumulative signal level: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, and
v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 (Salimans and Ho, arXiv 2202.00512, appendix D).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def levels(t: Tensor, scheduler: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar_t) and sqrt(1 - abar_t), each float [n, 1, 1, 1], for timesteps int64 [n]."""
    abar = scheduler.alphas_cumprod.to(like.device)[t].to(like.dtype).view(-1, 1, 1, 1)
    return abar.sqrt(), (1 - abar).sqrt()


def noise_of(prediction: Tensor, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """The noise eps that ``prediction`` means, float [n, c, h, w]."""
    if scheduler.config.prediction_type != "v_prediction":
        return prediction
    signal, sigma = levels(t, scheduler, x_t)
    return signal * prediction + sigma * x_t


def clean_of(prediction: Tensor, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """The clean latents x_0 that ``prediction`` means, float [n, c, h, w]."""
    signal, sigma = levels(t, scheduler, x_t)
    if scheduler.config.prediction_type != "v_prediction":
        return (x_t - sigma * prediction) / signal
    return signal * x_t - sigma * prediction


def prediction_of(noise: Tensor, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """The prediction of the scheduler's type that means the noise eps; inverse of ``noise_of``."""
    if scheduler.config.prediction_type != "v_prediction":
        return noise
    signal, sigma = levels(t, scheduler, x_t)
    return (noise - sigma * x_t) / signal
