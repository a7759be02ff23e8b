from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.losscut import LossCut, kept_mean, magnitude, spread, trained_magnitudes
from replication_bench.data.example import Examples
from replication_bench.method import Context, Encoded, Method
from replication_bench.prediction import noise_of
from replication_bench.testing.case import generator


class Toy:
    """Predicts a constant: the first number of the row's text states; counts its calls."""

    def __init__(self) -> None:
        self.scale = torch.tensor(1.0, requires_grad=True)
        self.calls = 0

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        self.calls += len(x_t)
        return self.scale * cond[:, 0, 0].view(-1, 1, 1, 1).expand_as(x_t)


@pytest.fixture
def rows(ctx: Context) -> tuple[Encoded, Tensor, Tensor]:
    """Four rows whose first text state lies 0, 0.01, 0.1 and 1 above the empty prompt's."""
    empty = ctx.backbone.encode_text([""])
    cond = empty.repeat(4, 1, 1)
    cond[:, 0, 0] += torch.tensor([0.0, 0.01, 0.1, 1.0])
    latents, noise = (torch.randn(4, 4, 8, 8, generator=generator(seed)) for seed in (0, 1))
    return Encoded(latents, cond), torch.tensor([5, 300, 600, 900]), noise


def set_type(ctx: Context, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import DDPMScheduler

    scheduler: Any = DDPMScheduler
    monkeypatch.setattr(
        ctx.backbone,
        "scheduler",
        scheduler.from_config(ctx.backbone.scheduler.config, prediction_type=kind),
    )


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_magnitude_is_the_norm_of_the_noises_difference(
    kind: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_type(ctx, kind, monkeypatch)
    x_t, one, other = (torch.randn(3, 4, 8, 8, generator=generator(seed)) for seed in range(3))
    t, scheduler = torch.tensor([1, 500, 999]), ctx.backbone.scheduler
    want = [
        math.sqrt(
            sum(
                (a - b) ** 2
                for a, b in zip(
                    *(noise_of(p, x_t, t, scheduler)[row].flatten().tolist() for p in (one, other)),
                    strict=True,
                )
            )
        )
        for row in range(3)
    ]
    assert magnitude(one, other, t, scheduler).tolist() == pytest.approx(want, rel=1e-4)


def test_rows_at_or_above_the_threshold_leave_the_mean(
    ctx: Context, rows: tuple[Encoded, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_type(ctx, "epsilon", monkeypatch)
    # magnitudes by hand: 16 = sqrt(4 * 8 * 8) times 0, 0.01, 0.1, 1
    encoded, t, noise = rows
    plain = Method().loss(Toy(), encoded, t, noise, ctx)
    for threshold, kept in ((0.1, 1), (1.0, 2), (3.0, 3), (20.0, 4)):
        toy = Toy()
        losses = LossCut(threshold).loss(toy, encoded, t, noise, ctx)
        assert losses.mean().item() == pytest.approx(plain[:kept].mean().item(), rel=1e-6)
        assert (losses[kept:] == 0).all()
        assert toy.calls == 8


def test_velocities_are_compared_as_noises(ctx: Context, rows: tuple[Encoded, Tensor, Tensor]) -> None:
    encoded, t, noise = rows
    signal = ctx.backbone.scheduler.alphas_cumprod[t[3]].sqrt().item()
    for factor, dropped in ((0.99, True), (1.01, False)):
        losses = LossCut(16 * signal * factor).loss(Toy(), encoded, t, noise, ctx)
        assert (losses[3] == 0).item() is dropped


def test_a_batch_without_kept_rows_has_no_gradient_but_a_graph() -> None:
    weights = torch.ones(3, requires_grad=True)
    kept_mean(weights * 2, torch.zeros(3, dtype=torch.bool)).mean().backward()
    assert torch.equal(weights.grad, torch.zeros(3))


def test_a_high_threshold_trains_as_plain_training_does(train: Any) -> None:
    plain, cut = (train(method, folder=type(method).__name__) for method in (Method(), LossCut(1e9)))
    assert all(torch.equal(plain[name], cut[name]) for name in plain)


def test_a_threshold_that_keeps_no_row_leaves_the_weights_to_their_decay(train: Any, ctx: Context) -> None:
    """Three steps without gradient: AdamW multiplies each weight by 1 - rate * decay, and that is all."""
    settings = {"learning_rate": 0.01, "weight_decay": 0.5}
    cut = train(LossCut(1e-9), images=12, **settings)
    before = ctx.backbone.unet.state_dict()
    for name, weight in cut.items():
        assert torch.allclose(weight, before[name] * (1 - 0.01 * 0.5) ** 3, rtol=1e-5, atol=0), name


def test_the_share_above_the_threshold_is_told_at_the_end(ctx: Context, examples: Examples) -> None:
    method = LossCut(1e-9)
    (fact,) = method.facts((), examples, ctx)
    assert fact.value is None
    ctx.networks, ctx.method = (ctx.backbone.unet,), method
    (fact,) = method.facts((), examples, ctx)
    assert (fact.value, fact.n, fact.unit) == (1.0, 6, "share")
    assert LossCut(1e9).facts((), examples, ctx)[0].value == 0.0


def test_the_magnitudes_at_the_end_are_those_of_the_trained_network(ctx: Context, examples: Examples) -> None:
    network = copy.deepcopy(ctx.backbone.unet)
    for number, parameter in enumerate(network.parameters()):
        parameter.data.add_(torch.randn(parameter.shape, generator=generator(number)), alpha=0.05)
    ctx.networks, ctx.method = (network,), Method()
    backbone, rng = ctx.backbone, ctx.seeds.torch("losscut facts")
    latents = backbone.encode_images(torch.stack([backbone.to_tensor(e.load()) for e in examples]))
    t = torch.randint(1000, (6,), generator=rng)
    x_t = backbone.scheduler.add_noise(latents, torch.randn(latents.shape, generator=rng), t)
    want = []
    for row, example in enumerate(examples):
        with torch.no_grad():
            one, other = (
                network(x_t[row : row + 1], t[row], encoder_hidden_states=backbone.encode_text([text])).sample
                for text in (example.captions[0], "")
            )
        want.append(float(backbone.scheduler.alphas_cumprod[t[row]].sqrt() * (one - other).norm()))
    found = trained_magnitudes(examples, ctx)
    assert found.tolist() == pytest.approx(want, rel=1e-3)
    threshold = sorted(found.tolist())[2]
    assert LossCut(threshold).facts((), examples, ctx)[0].value == pytest.approx(4 / 6)


@pytest.mark.parametrize(("count", "gaps"), [(3, {1}), (256, {1}), (600, {2, 3})])
def test_at_most_256_images_are_looked_at_evenly_spread(
    count: int, gaps: set[int], examples: Examples
) -> None:
    many = Examples(tuple(replace(examples[0], id=str(number)) for number in range(count)))
    rows = [int(example.id) for chunk in spread(many) for example in chunk]
    assert len(rows) == min(count, 256)
    assert {later - earlier for earlier, later in pairwise(rows)} == gaps
    assert rows[0] == 0
    assert rows[-1] >= count - max(gaps)
