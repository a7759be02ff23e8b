from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from replication_bench.prediction import clean_of, noise_of, prediction_of


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_perfect_prediction_gives_back_noise_and_latents(kind: str) -> None:
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=kind)
    rng = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 5, 4, 3, 3, generator=rng).double()
    t = torch.tensor([0, 1, 250, 500, 999])
    x_t = scheduler.add_noise(latents, noise, t)
    perfect = noise if kind == "epsilon" else scheduler.get_velocity(latents, noise, t)
    assert torch.allclose(noise_of(perfect, x_t, t, scheduler), noise, atol=1e-5)
    assert torch.allclose(clean_of(perfect, x_t, t, scheduler), latents, atol=1e-4)
    assert torch.allclose(prediction_of(noise, x_t, t, scheduler), perfect, atol=1e-4)
