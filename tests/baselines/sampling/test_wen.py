from __future__ import annotations

import pytest
import torch
from sampling_case import batch_context, eps_backbone, latents, sampler

from baselines.sampling.pairs import magnitude
from baselines.sampling.wen import FirstStep, Wen
from replication_bench.backbone import Backbone
from replication_bench.denoiser import Pair, predict_pair


def test_the_magnitude_by_hand() -> None:
    class Scheduler:
        class config:  # noqa: N801
            prediction_type = "epsilon"

    pair = Pair(
        torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]]), torch.tensor([[[[4.0, 6.0]]], [[[0.0, 0.0]]]])
    )
    assert magnitude(pair, pair.cond, torch.tensor([5, 5]), Scheduler).tolist() == [5.0, 0.0]


@pytest.mark.parametrize("t", [1, 500, 981])
def test_for_velocity_the_magnitude_is_that_of_the_noise_each_means(backbone: Backbone, t: int) -> None:
    rng = torch.Generator().manual_seed(0)
    x_t, uncond, cond = torch.randn(3, 2, 4, 8, 8, generator=rng)
    abar = backbone.scheduler.alphas_cumprod[t]
    eps = [abar.sqrt() * v + (1 - abar).sqrt() * x_t for v in (uncond, cond)]
    want = torch.tensor([(eps[1][row] - eps[0][row]).square().sum().sqrt() for row in range(2)])
    got = magnitude(Pair(uncond, cond), x_t, torch.tensor([t, t]), backbone.scheduler)
    assert torch.allclose(got, want, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["velocity", "noise"])
def test_the_objective_is_the_magnitude_of_the_first_step(backbone: Backbone, prediction: str) -> None:
    run = sampler(backbone if prediction == "velocity" else eps_backbone(backbone), Wen())
    ctx, states = batch_context(run)
    x_t, t = ctx.samples.noise, torch.tensor([901, 901, 901])
    with torch.no_grad():
        pair = predict_pair(run.counter.denoiser, x_t, t, states)
        want = magnitude(pair, x_t, t, ctx.backbone.scheduler)
        step = FirstStep(states.cond[:, :1], states.uncond, run.counter.denoiser, ctx)
        assert torch.allclose(step.magnitude(states.cond[:, 1:]), want, rtol=1e-4)


def test_it_lowers_the_magnitude_and_leaves_the_begin_token_and_the_unconditional_half(
    backbone: Backbone,
) -> None:
    run = sampler(backbone, Wen())
    ctx, states = batch_context(run)
    found = Wen(target=0.05).condition(states, run.counter.denoiser, ctx, [])
    assert found.uncond is states.uncond
    assert torch.equal(found.cond[:, 0], states.cond[:, 0])
    t = torch.tensor([901, 901, 901])
    before, after = (
        magnitude(
            predict_pair(run.counter.denoiser, ctx.samples.noise, t, each),
            ctx.samples.noise,
            t,
            ctx.backbone.scheduler,
        )
        for each in (states, found)
    )
    assert (after < 0.9 * before).all()


def test_at_an_absolute_target_above_the_magnitude_nothing_changes(backbone: Backbone) -> None:
    run = sampler(backbone, Wen())
    ctx, states = batch_context(run)
    found = Wen(target=1e6, relative=False).condition(states, run.counter.denoiser, ctx, [])
    assert torch.equal(found.cond, states.cond)


def test_a_sample_does_not_depend_on_its_batch(backbone: Backbone) -> None:
    run = sampler(backbone, Wen(target=0.8))
    together, alone = latents(run, [0, 1, 2]), latents(run, [1])
    assert torch.allclose(together[1], alone[0], atol=1e-3)
