"""``sail`` and ``initnoise``."""

from __future__ import annotations

import pytest
import torch
from sampling_case import batch_context, eps_backbone, latents, sampler

from baselines.sampling.initnoise import InitNoise
from baselines.sampling.optimise import Target
from baselines.sampling.pairs import magnitude, norms
from baselines.sampling.sail import Sail, sharpness
from replication_bench.backbone import Backbone
from replication_bench.denoiser import predict_pair
from replication_bench.method import Conditioning, Context, Method

T = torch.tensor([901, 901, 901])


def wen(x_t: torch.Tensor, denoiser: object, states: Conditioning, ctx: Context) -> torch.Tensor:
    with torch.no_grad():
        return magnitude(predict_pair(denoiser, x_t, T, states), x_t, T, ctx.backbone.scheduler)  # type: ignore[arg-type]


def test_the_sharpness_of_a_linear_difference_is_known() -> None:
    """With delta(x) = A x the proxy is ||A x + A (A x) / ||A x||||."""
    matrix = torch.tensor([[2.0, 0.0], [1.0, -3.0]])

    class Scheduler:
        class config:  # noqa: N801
            prediction_type = "epsilon"

    class Ctx:
        class backbone:  # noqa: N801
            scheduler = Scheduler

    def denoiser(x_t: torch.Tensor, t: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        return (x_t.flatten(1) @ matrix.T).view(x_t.shape) * cond[:, :, :1, None] + x_t

    x = torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    states = Conditioning(torch.ones(2, 1, 1), torch.zeros(2, 1, 1))
    got = sharpness(x.view(2, 1, 1, 2), torch.tensor([7, 7]), denoiser, states, Ctx)  # type: ignore[arg-type]
    delta = x @ matrix.T
    want = (delta + (delta / delta.norm(dim=1, keepdim=True)) @ matrix.T).norm(dim=1)
    assert torch.allclose(got, want)


@pytest.mark.parametrize("prediction", ["velocity", "noise"])
def test_sail_lowers_its_objective(backbone: Backbone, prediction: str) -> None:
    run = sampler(backbone if prediction == "velocity" else eps_backbone(backbone), Sail())
    ctx, states = batch_context(run)
    noise = ctx.samples.noise
    method = Sail(target=0.01)
    moved = method.initial(noise, run.counter.denoiser, states, ctx, [])

    def objective(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return sharpness(x, T, run.counter.denoiser, states, ctx) + method.alpha * norms(x)

    assert (objective(moved) < objective(noise)).all()
    assert not moved.requires_grad


def test_sail_leaves_a_sample_at_its_threshold_alone(backbone: Backbone) -> None:
    run = sampler(backbone, Sail())
    ctx, states = batch_context(run)
    still = Sail(target=1e6, relative=False).initial(ctx.samples.noise, run.counter, states, ctx, [])
    assert torch.equal(still, ctx.samples.noise)


def test_a_relative_target_of_sail_is_a_share_of_the_sharpness_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The norm of the noise hardly moves, so that a share of it would not be reached."""
    run = sampler(backbone, Sail())
    ctx, states = batch_context(run)
    noise, seen = ctx.samples.noise, []
    real = Target.goal

    def goal(self: Target, *arguments: torch.Tensor) -> torch.Tensor:
        seen.append(real(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(Target, "goal", goal)
    Sail(target=0.3, alpha=0.7, iterations=1).initial(noise, run.counter.denoiser, states, ctx, [])
    with torch.no_grad():
        sharp = sharpness(noise, T, run.counter.denoiser, states, ctx)
    assert torch.allclose(seen[0], 0.3 * sharp + 0.7 * norms(noise), rtol=1e-4)


def test_initnoise_lowers_wens_magnitude_and_stops_at_its_target(backbone: Backbone) -> None:
    run = sampler(backbone, InitNoise())
    ctx, states = batch_context(run)
    noise, denoiser = ctx.samples.noise, run.counter.denoiser
    moved = InitNoise(target=0.9, iterations=40).initial(noise, denoiser, states, ctx, [])
    share = wen(moved, denoiser, states, ctx) / wen(noise, denoiser, states, ctx)
    assert (share <= 0.9).all()
    assert (share > 0.7).all()


def test_the_batch_wise_rule_is_its_formula(backbone: Backbone) -> None:
    run = sampler(eps_backbone(backbone), InitNoise())
    ctx, states = batch_context(run)
    denoiser, x = run.counter.denoiser, ctx.samples.noise

    def delta(x_t: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return denoiser(x_t, T, states.cond) - denoiser(x_t, T, states.uncond)

    for _ in range(2):
        here = delta(x)
        lengths = here.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        x = x - 0.7 * (delta(x + 50 * here / lengths) - here)
    got = InitNoise(rule="batch-wise").initial(ctx.samples.noise, denoiser, states, ctx, [])
    assert torch.allclose(got, x, atol=1e-4)


@pytest.mark.parametrize("method", [Sail(iterations=3), InitNoise(iterations=3)], ids=["sail", "initnoise"])
def test_a_sample_does_not_depend_on_its_batch(backbone: Backbone, method: Method) -> None:
    run = sampler(backbone, method)
    together, alone = latents(run, [0, 1, 2]), latents(run, [2])
    assert torch.allclose(together[2], alone[0], atol=1e-3)
    assert not torch.allclose(alone, latents(sampler(backbone, Method()), [2]), atol=1e-3)
