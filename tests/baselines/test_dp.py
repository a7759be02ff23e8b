from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.augment import Augment
from baselines.dedup import Dedup
from baselines.dp import Dp, chunks
from baselines.lora import Lora
from baselines.losscut import LossCut
from replication_bench.compose import compose
from replication_bench.config import TrainConfig
from replication_bench.data.example import Examples
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError, PluginError
from replication_bench.method import Context, Encoded, Method, Step
from replication_bench.resolve import build_method
from replication_bench.seeds import Seeds
from replication_bench.testing.case import generator

pytest.importorskip("opacus")
LARGE = 1e9  # a clip norm that no gradient reaches
ROWS = 5


def double(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def losses_of(network: nn.Module, ctx: Context) -> Callable[[slice], Tensor]:
    """The plain losses of ``ROWS`` fixed rows in double precision."""
    latents, noise = (double((ROWS, *ctx.backbone.latent_shape), seed) for seed in (1, 2))
    cond = double((ROWS, 16, ctx.backbone.unet.config.cross_attention_dim), 3)
    t = torch.tensor([1, 200, 400, 600, 999])

    def losses(rows: slice) -> Tensor:
        part = Encoded(latents[rows], cond[rows])
        return Method().loss(UNetDenoiser(network), part, t[rows], noise[rows], ctx)

    return losses


def new_network(ctx: Context) -> nn.Module:
    network: nn.Module = copy.deepcopy(ctx.backbone.unet)
    return network.requires_grad_(True).double().train()


def take_steps(
    method: Method,
    ctx: Context,
    count: int = 1,
    sgd: bool = False,
    rows: int = ROWS,
    images: int = ROWS,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Weights after ``count`` steps of ``method`` from the backbone's, on the same rows; the first with ``seed``."""
    network = new_network(ctx)
    optimiser: Any = method.optimiser(network, ctx)
    if sgd:
        plain = torch.optim.SGD(network.parameters(), lr=1.0)
        optimiser.original_optimizer = plain
    losses = losses_of(network, ctx)
    for number in range(seed, seed + count):
        rng = generator(number)
        step = Step(rows, images, losses, torch.autograd.backward, lambda: None, optimiser, rng)
        found = method.update(step, ctx)
        assert found.shape == (rows,)
        assert not found.requires_grad
    return {name: value.detach() for name, value in network.named_parameters()}


def single_gradients(ctx: Context) -> list[dict[str, Tensor]]:
    """The gradient of each row, one backward pass a row."""
    network = new_network(ctx)
    losses = losses_of(network, ctx)
    found = []
    for row in range(ROWS):
        network.zero_grad()
        losses(slice(row, row + 1)).sum().backward()
        found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    return found


def norm(gradient: dict[str, Tensor]) -> float:
    return float(torch.sqrt(sum((g.square().sum() for g in gradient.values()), torch.zeros(()))))


def worst(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def start(ctx: Context) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in new_network(ctx).named_parameters()}


def test_uniform_without_noise_or_clip_is_plain_training(ctx: Context) -> None:
    """Three steps: weights that moved by 1e-3 agree to 1e-6; the network is in double precision, the loss in single."""
    dp = Dp(noise_multiplier=0, max_grad_norm=LARGE, sampling="uniform", physical=2)
    private, plain = take_steps(dp, ctx, 3), take_steps(Method(), ctx, 3)
    assert worst(plain, start(ctx)) > 1e-3
    assert worst(private, plain) < 1e-6


def both(train: Any, name: str, ctx: Context, **settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Through the harness: weights of ``dp`` as plain training, of plain training, and before; each float [weights]."""
    dp = Dp(noise_multiplier=0, max_grad_norm=LARGE, sampling="uniform", physical=3)
    before = ctx.backbone.unet.state_dict()
    ends = (train(method, folder=name + type(method).__name__, **settings) for method in (dp, Method()))
    private, plain = (torch.cat([end[key].flatten() for key in before]) for end in ends)
    return private, plain, torch.cat([value.flatten() for value in before.values()])


@pytest.fixture
def sgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights follow the gradients as they are."""
    monkeypatch.setattr(
        "replication_bench.method.new_optimiser",
        lambda parameters, train: torch.optim.SGD(parameters, lr=train.learning_rate),
    )


def test_the_same_through_the_harness_in_single_precision(train: Any, ctx: Context, sgd: None) -> None:
    """Three steps of four rows: apart by a few units in the last place of the weights, 5e-6 of the way when written."""
    private, plain, before = both(train, "sgd", ctx, clip_norm=LARGE, learning_rate=0.01, channels_last=False)
    assert (plain - before).abs().max() > 1e-3
    assert (private - plain).norm() < 5e-5 * (plain - before).norm()
    assert (private - plain).abs().max() < 2e-7


def test_adam_parts_the_two_only_where_there_is_no_gradient_but_rounding(
    train: Any, ctx: Context, request: pytest.FixtureRequest
) -> None:
    """AdamW divides a gradient by its own size, so a rounding error in the place of 0 becomes a whole step.

    Such weights move whole channels, which the normalisation after them takes away again: in this network of groups of
    one channel, many biases and the embedding of time. All others agree, to 3e-6 of the way when written.
    """
    private, plain, before = both(train, "adam", ctx, clip_norm=LARGE, channels_last=False)
    request.getfixturevalue("sgd")
    _, first, _ = both(train, "first", ctx, images=4, clip_norm=LARGE, learning_rate=1.0, channels_last=False)
    steep = (before - first).abs() > 1e-6
    assert steep.float().mean() > 0.8
    assert (private - plain)[steep].norm() < 3e-5 * (plain - before)[steep].norm()


def test_rows_are_clipped_then_summed_and_divided_by_the_expected_rows(ctx: Context) -> None:
    gradients = single_gradients(ctx)
    limit = sorted(map(norm, gradients))[2]  # three rows are below or at it, two above
    after = take_steps(Dp(noise_multiplier=0, max_grad_norm=limit, sampling="uniform"), ctx, sgd=True)
    before = start(ctx)
    for name in before:
        want = sum(g[name] * min(1.0, limit / (norm(g) + 1e-6)) for g in gradients)
        assert torch.allclose(before[name] - after[name], want / ROWS, atol=1e-9), name


@pytest.mark.parametrize("physical", [1, 2, 8])
def test_how_many_rows_are_held_at_once_changes_nothing(physical: int, ctx: Context) -> None:
    def take(size: int) -> dict[str, Tensor]:
        return take_steps(Dp(max_grad_norm=0.1, physical=size, sampling="uniform"), ctx, sgd=True)

    assert worst(take(physical), take(5)) < 1e-9


def test_the_noise_has_its_scale_and_follows_the_step_s_generator(ctx: Context) -> None:
    def take(multiplier: float, seed: int = 0) -> Tensor:
        method = Dp(noise_multiplier=multiplier, max_grad_norm=0.5, sampling="uniform")
        weights = take_steps(method, ctx, sgd=True, seed=seed)
        return torch.cat([value.flatten() for value in weights.values()])

    silent, noisy, again, other = take(0.0), take(2.0), take(2.0), take(2.0, seed=1)
    assert torch.equal(noisy, again)
    noise, next_noise = noisy - silent, other - silent
    want = 2.0 * 0.5 / ROWS
    assert float(noise.std()) == pytest.approx(want, rel=5 / np.sqrt(2 * len(noise)))
    assert abs(float(noise.mean())) < 5 * want / np.sqrt(len(noise))
    correlation = float(torch.corrcoef(torch.stack([noise, next_noise]))[0, 1])
    assert abs(correlation) < 5 / np.sqrt(len(noise))


def test_a_batch_larger_than_the_training_set_expects_all_of_the_set(ctx: Context) -> None:
    """With Poisson sampling no rate exceeds 1: of six images, a batch of nine expects six."""
    before = start(ctx)

    def way(images: int) -> dict[str, Tensor]:
        after = take_steps(Dp(noise_multiplier=0), ctx, sgd=True, images=images)
        return {name: after[name] - before[name] for name in before}

    six = way(6)
    assert worst(way(9), six) == 0
    assert worst({name: value / 2 for name, value in way(3).items()}, six) < 1e-9


def test_an_empty_draw_still_adds_noise(ctx: Context) -> None:
    weights = take_steps(Dp(noise_multiplier=1.0, max_grad_norm=1.0), ctx, sgd=True, rows=0)
    moved = torch.cat([(weights[name] - value).flatten() for name, value in start(ctx).items()])
    assert float(moved.std()) == pytest.approx(1 / ROWS, rel=0.05)


def test_an_empty_draw_changes_nothing_without_dp(ctx: Context) -> None:
    assert worst(take_steps(Method(), ctx, rows=0), start(ctx)) == 0


def test_a_run_with_empty_draws_trains(train: Any, ctx: Context) -> None:
    dp = Dp()
    draws = [len(dp.order(6, i, i + 1, Seeds(ctx.seeds.derive("stage", "all")))) for i in range(6)]
    assert 0 in draws
    assert max(draws) > 0
    assert all(value.isfinite().all() for value in train(dp, images=6, batch_size=1).values())


def test_poisson_draws_each_example_independently_at_its_rate() -> None:
    drawn = np.zeros((2000, 8))
    for number in range(2000):
        drawn[number, Dp().order(8, 2 * number, 2 * number + 2, Seeds(1))] = 1
    assert np.allclose(drawn.mean(0), 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 2000))
    correlation = np.corrcoef(drawn.T) - np.eye(8)
    assert abs(correlation).max() < 5 / np.sqrt(2000)
    assert Dp().order(4, 0, 9, Seeds(1)) == [0, 1, 2, 3]


def test_uniform_sampling_is_the_harness_s_own() -> None:
    dp = Dp(sampling="uniform")
    assert dp.order(7, 3, 12, Seeds(2)) == Method().order(7, 3, 12, Seeds(2))


def test_no_name_in_the_state_dict_changes(ctx: Context) -> None:
    network = new_network(ctx)
    names = list(network.state_dict())
    Dp().optimiser(network, ctx)
    assert list(network.state_dict()) == names


def direct(accountant: Any, rates: list[float], delta: float) -> float:
    for rate in rates:
        accountant.step(noise_multiplier=1.5, sample_rate=rate)
    return float(accountant.get_epsilon(delta=delta))


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_is_opacus_own(accountant: str, ctx: Context, examples: Examples) -> None:
    from opacus.accountants import PRVAccountant, RDPAccountant

    method = Dp(noise_multiplier=1.5, accountant=accountant, delta=1e-3)
    ctx.method, ctx.train = method, TrainConfig(budget=11, batch_size=2)
    (fact,) = method.facts((), examples, ctx)
    ledger = {"rdp": RDPAccountant, "prv": PRVAccountant}[accountant]()
    assert fact.value == pytest.approx(direct(ledger, [2 / 6] * 5 + [1 / 6], 1e-3), rel=1e-6)
    assert (fact.name, fact.n, fact.better) == ("epsilon", 6, "down")
    assert fact.note
    assert "delta = 0.001" in fact.note
    assert "not below" not in fact.note


def test_a_batch_larger_than_the_training_set_spends_as_all_of_the_set(
    ctx: Context, examples: Examples
) -> None:
    from opacus.accountants import RDPAccountant

    ctx.method, ctx.train = Dp(noise_multiplier=1.5, delta=1e-3), TrainConfig(budget=18, batch_size=9)
    (fact,) = ctx.method.facts((), examples, ctx)
    assert fact.value == pytest.approx(direct(RDPAccountant(), [1.0, 1.0], 1e-3), rel=1e-6)


def test_every_stage_of_a_split_network_spends(ctx: Context, examples: Examples) -> None:
    from opacus.accountants import RDPAccountant

    from loyal.method import Dual

    dp = Dp(noise_multiplier=1.5, delta=0.5)
    ctx.method = compose([("dual", Dual()), ("dp", dp)])
    ctx.train = TrainConfig(budget=4, batch_size=2, budget_rule="per_stage")
    (fact,) = dp.facts((), examples, ctx)
    assert fact.value == pytest.approx(direct(RDPAccountant(), [2 / 6] * 4, 0.5), rel=1e-6)
    assert fact.note
    assert "delta is not below 1 / 6" in fact.note


class Mixes(Method):
    def encode(self, encoded: Encoded, *rest: Any) -> Encoded:
        return encoded


@pytest.mark.parametrize(
    ("dp", "other", "words"),
    [
        (Dp(sampling="uniform"), None, "Poisson"),
        (Dp(noise_multiplier=0), None, "no noise"),
        (Dp(), Mixes(), "Mixes.encode"),
        (Dp(), Dedup(), "Dedup.dataset"),
        (Dp(), LossCut(), "LossCut.loss"),
    ],
)
def test_where_no_bound_holds_epsilon_is_missing_with_its_reason(
    dp: Dp, other: Method | None, words: str, ctx: Context, examples: Examples
) -> None:
    ctx.method = compose([("dp", dp), *([("other", other)] if other else [])])
    (fact,) = dp.facts((), examples, ctx)
    assert fact.value is None
    assert fact.reason
    assert words in fact.reason


def test_copies_of_an_image_leave_no_bound_on_it(ctx: Context, examples: Examples) -> None:
    dp = Dp()
    ctx.method = dp
    (fact,) = dp.facts((), Examples((*examples, examples[0], examples[0])), ctx)
    assert fact.value is None
    assert fact.reason is not None
    assert f"2 of {len(examples) + 2} training rows repeat" in fact.reason


def test_adapters_and_changed_images_leave_the_bound_alone(ctx: Context, examples: Examples) -> None:
    dp = Dp()
    ctx.method = dp
    alone = dp.facts((), examples, ctx)
    ctx.method = compose([("augment", Augment()), ("lora", Lora()), ("dp", dp)])
    assert dp.facts((), examples, ctx) == alone
    assert alone[0].value is not None


def test_what_dp_cannot_train_is_refused(ctx: Context) -> None:
    ctx.train = TrainConfig(precision="fp16")
    with pytest.raises(ConfigError, match="fp16"):
        Dp().check(ctx)
    ctx.train = TrainConfig()
    # the second has gradients of single rows, and mixes rows through its running statistics
    for mixing in (nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)):
        with pytest.raises(ConfigError, match="single rows"):
            Dp().optimiser(nn.Sequential(nn.Conv2d(4, 4, 1), mixing), ctx)


def test_dp_in_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ConfigError, match="dp trains in one process; got 2 processes"):
        Dp().check(ctx)


def test_without_opacus_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "opacus"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opacus", None)
    for refused in (lambda: build_method("dp", {}), lambda: Dp().optimiser(new_network(ctx), ctx)):
        with pytest.raises(PluginError, match=r"'opacus' is missing.*pip install 'replbench\[dp\]'"):
            refused()


def test_chunks_cover_the_rows() -> None:
    assert chunks(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert chunks(0, 2) == []
