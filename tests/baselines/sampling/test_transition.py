from __future__ import annotations

import pytest
import torch
from sampling_case import batch_context, latents, rows_an_image, sampler

from baselines.sampling.transition import CfgDynamic, CfgStatic, Minimum
from replication_bench.backbone import Backbone
from replication_bench.method import Conditioning, Method


@pytest.mark.parametrize("before", [0.0, 1.0, -2.0])
def test_a_transition_above_the_schedule_is_plain_sampling_to_the_bit(
    backbone: Backbone, before: float
) -> None:
    plain = latents(sampler(backbone, Method()))
    assert torch.equal(latents(sampler(backbone, CfgStatic(transition=1000, before=before))), plain)


@pytest.mark.parametrize(("before", "calls"), [(0.0, 4), (1.0, 4), (-2.0, 8)])
def test_a_transition_below_the_schedule_is_sampling_at_the_scale_before(
    backbone: Backbone, before: float, calls: int
) -> None:
    run = sampler(backbone, CfgStatic(transition=0, before=before))
    plain = sampler(backbone, Method(), scale=before) if before >= 0 else sampler(backbone, Opposite())
    assert torch.allclose(latents(run), latents(plain), atol=1e-4)
    assert rows_an_image(run) == calls


class Opposite(Method):
    def guide(self, denoiser, x_t, t, states, scale, ctx):  # type: ignore[no-untyped-def]
        return super().guide(denoiser, x_t, t, states, -2.0, ctx)


def test_before_the_transition_one_network_call_is_enough(backbone: Backbone) -> None:
    # the tiny schedule of four steps is 751, 501, 251, 1
    assert rows_an_image(sampler(backbone, CfgStatic(transition=500))) == 1 + 1 + 2 + 2
    assert rows_an_image(sampler(backbone, CfgStatic(transition=501))) == 1 + 2 + 2 + 2
    assert rows_an_image(sampler(backbone, CfgStatic(transition=500, before=-2))) == 8


def test_rows_of_unequal_timesteps_are_each_on_their_side(backbone: Backbone) -> None:
    run = sampler(backbone, CfgStatic())
    ctx, states = batch_context(run)
    x_t, t = ctx.samples.noise, torch.tensor([700, 500, 20])
    both = CfgStatic(before=-1).guide(run.counter, x_t, t, states, 3.0, ctx)
    for row, scale in enumerate((-1.0, 3.0, 3.0)):
        want = Method().guide(run.counter, x_t, t, states, scale, ctx)
        assert torch.allclose(both[row], want[row], atol=1e-4)


SERIES = {
    "a valley": ([9, 7, 5, 6, 8, 4, 5], 3),
    "the first of two": ([9, 2, 3, 1, 5], 2),
    "falling to the end": ([9, 8, 7, 6], None),
    "rising from the start": ([1, 2, 3], None),
    "a plateau is no minimum": ([5, 5, 6, 7], None),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_planted_minimum_is_found_one_step_after_it(name: str) -> None:
    values, at = SERIES[name]
    watch = Minimum(1, torch.device("cpu"))
    passed = [bool(watch.update(torch.tensor([float(value)]))[0]) for value in values]
    assert passed == [at is not None and step >= at for step in range(len(values))]


def test_each_sample_is_guided_from_its_own_minimum_on(backbone: Backbone) -> None:
    """A denoiser with planted magnitudes: sample 0 has its minimum at step 1, sample 1 at step 2, sample 2 none."""
    planted = torch.tensor([[5.0, 3.0, 4.0, 2.0], [5.0, 4.0, 1.0, 2.0], [5.0, 4.0, 3.0, 2.0]])
    steps = [901, 601, 301, 1]

    def denoiser(x_t: torch.Tensor, t: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        step = steps.index(int(t[0]))
        moved = torch.zeros_like(x_t)
        # velocity is sqrt(abar) times smaller in eps, so that the planted value is its magnitude
        signal = backbone.scheduler.alphas_cumprod[steps[step]].sqrt()
        moved[3:, 0, 0, 0] = planted[:, step] / signal
        return moved

    run = sampler(backbone, CfgDynamic())
    ctx, states = batch_context(run)
    x_t = torch.zeros_like(ctx.samples.noise)
    scales = []
    for t in steps:
        got = CfgDynamic(before=0).guide(denoiser, x_t, torch.tensor([t] * 3), states, 3.0, ctx)
        signal = backbone.scheduler.alphas_cumprod[t].sqrt()
        scales.append((got[:, 0, 0, 0] * signal / planted[:, steps.index(t)]).round().int().tolist())
    assert scales == [[0, 0, 0], [0, 0, 0], [3, 0, 0], [3, 3, 0]]


def test_every_batch_starts_without_a_minimum_behind_it(backbone: Backbone) -> None:
    run = sampler(backbone, CfgDynamic())
    assert torch.equal(latents(run), latents(run))


def test_before_the_minimum_the_scale_is_that_of_the_option(backbone: Backbone) -> None:
    run = sampler(backbone, CfgDynamic())
    ctx, states = batch_context(run)
    arguments = run.counter, ctx.samples.noise, torch.tensor([901] * 3), states
    want = Method().guide(*arguments, -2.0, ctx)
    assert torch.allclose(CfgDynamic(before=-2).guide(*arguments, 3.0, ctx), want, atol=1e-4)
    assert isinstance(states, Conditioning)
