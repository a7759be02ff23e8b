"""Noise on text states and their mixing, against moments and independent computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from baselines.text.states import GaussianNoise, Mixup, PromptNoise, TokenNoise
from replication_bench.compose import compose
from replication_bench.errors import ConfigError
from replication_bench.method import Batch, Conditioning, Encoded, Method

ROWS, LENGTH, WIDTH = 8, 77, 64
BATCH, CTX = Batch((), ()), None


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def encoded() -> Encoded:
    rng = generator(9)
    return Encoded(torch.randn(ROWS, 4, 8, 8, generator=rng), torch.randn(ROWS, LENGTH, WIDTH, generator=rng))


def added(method: Method, encoded: Encoded, seed: int = 0) -> Tensor:
    after = method.encode(encoded, BATCH, CTX, generator(seed))  # type: ignore[arg-type]
    assert torch.equal(after.latents, encoded.latents)
    return after.cond - encoded.cond


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_gaussian_noise_has_its_standard_deviation_on_every_token(encoded: Encoded, std: float) -> None:
    noise = added(GaussianNoise(std=std), encoded)
    n = noise.numel()
    assert abs(float(noise.mean())) < 4 * std / n**0.5
    assert abs(float(noise.std()) / std - 1) < 4 / (2 * n) ** 0.5
    by_token = noise.square().mean((0, 2)).sqrt() / std
    assert torch.all((by_token - 1).abs() < 5 / (2 * ROWS * WIDTH) ** 0.5)


@pytest.mark.parametrize("method", [GaussianNoise(std=0), TokenNoise(std=0), TokenNoise(p=0)])
def test_no_noise_changes_nothing(encoded: Encoded, method: Method) -> None:
    assert not added(method, encoded).any()


def test_token_noise_hits_whole_tokens_with_its_probability_and_strength(encoded: Encoded) -> None:
    draws = torch.stack([added(TokenNoise(), encoded, seed) for seed in range(20)])
    hit = draws.abs().amax(-1) > 0
    n = hit.numel()
    assert abs(float(hit.float().mean()) - 0.6) < 4 * (0.24 / n) ** 0.5
    assert torch.equal(hit, (draws != 0).float().mean(-1) > 0.5)
    assert abs(float(draws[hit].std()) / 1.7 - 1) < 4 / (2 * int(hit.sum()) * WIDTH) ** 0.5
    counts = hit.float().sum(-1).flatten()  # a binomial for each caption: tokens are independent
    assert abs(float(counts.var()) / (LENGTH * 0.24) - 1) < 5 * (2 / len(counts)) ** 0.5


def test_each_caption_of_a_batch_draws_its_own_tokens(encoded: Encoded) -> None:
    hit = added(TokenNoise(), encoded).abs().amax(-1) > 0
    assert len({tuple(row) for row in hit.tolist()}) == ROWS


def test_every_token_is_hit_for_certain(encoded: Encoded) -> None:
    certain = added(TokenNoise(std=0.5, p=1), encoded)
    assert (certain.abs().amax(-1) > 0).all()
    assert abs(float(certain.std()) / 0.5 - 1) < 0.02


@pytest.mark.parametrize("lam", [0.2, 1.0, 5.0])
def test_the_mixing_weight_follows_beta_lam_1(lam: float) -> None:
    rng, method = generator(), Mixup(lam=lam)
    weights = [method.weight(rng) for _ in range(3000)]
    assert kstest(weights, "beta", args=(lam, 1)).pvalue > 1e-3
    assert abs(np.mean(weights) - lam / (lam + 1)) < 0.03


def test_text_states_are_mixed_with_one_weight_and_one_permutation(encoded: Encoded) -> None:
    method = Mixup(lam=2.0)
    mixed = method.encode(encoded, BATCH, CTX, generator(3)).cond  # type: ignore[arg-type]
    weight = method.weight(generator(3))
    rest = (mixed - weight * encoded.cond) / (1 - weight)
    distance = torch.cdist(rest.flatten(1), encoded.cond.flatten(1))
    others = distance.argmin(1)
    assert sorted(others.tolist()) == list(range(ROWS))
    assert float(distance.amin(1).max()) < 1e-2
    assert others.tolist() != list(range(ROWS))


def test_mixing_a_single_caption_changes_nothing(encoded: Encoded) -> None:
    one = Encoded(encoded.latents[:1], encoded.cond[:1])
    assert torch.allclose(added(Mixup(), one), torch.zeros(1), atol=1e-6)


def conditions(method: Method, encoded: Encoded) -> tuple[Conditioning, Conditioning]:
    before = Conditioning(encoded.cond, encoded.cond[:1].repeat(ROWS, 1, 1))
    rngs = [generator(seed) for seed in range(ROWS)]
    return before, method.condition(before, None, CTX, rngs)  # type: ignore[arg-type]


def test_prompt_noise_leaves_the_unconditional_half_alone(encoded: Encoded) -> None:
    before, after = conditions(PromptNoise(std=0.3), encoded)
    assert torch.equal(after.uncond, before.uncond)
    assert abs(float((after.cond - before.cond).std()) / 0.3 - 1) < 0.02


def test_the_published_variant_hits_both_halves_with_other_noise(encoded: Encoded) -> None:
    before, after = conditions(PromptNoise(std=0.3, halves="both"), encoded)
    noise = [after.cond - before.cond, after.uncond - before.uncond]
    assert all(abs(float(part.std()) / 0.3 - 1) < 0.02 for part in noise)
    together = torch.stack([part.flatten() for part in noise])
    assert abs(float(torch.corrcoef(together)[0, 1])) < 4 / noise[0].numel() ** 0.5


def test_the_noise_of_a_sample_is_its_generators_whatever_is_generated_beside_it(encoded: Encoded) -> None:
    before, after = conditions(PromptNoise(), encoded)
    alone = Conditioning(before.cond[3:4], before.uncond[3:4])
    again = PromptNoise().condition(alone, None, CTX, [generator(3)])  # type: ignore[arg-type]
    assert torch.equal(again.cond[0], after.cond[3])


def test_the_conditional_noise_is_the_same_in_both_variants(encoded: Encoded) -> None:
    _, conditional = conditions(PromptNoise(), encoded)
    _, both = conditions(PromptNoise(halves="both"), encoded)
    assert torch.equal(conditional.cond, both.cond)


def test_a_composition_mixes_what_the_part_before_made_noisy(encoded: Encoded) -> None:
    noise, mix = GaussianNoise(std=1.0), Mixup(lam=2.0)
    whole = compose([("gn", noise), ("mixup", mix)])
    rng = generator(1)
    by_hand = mix.encode(noise.encode(encoded, BATCH, CTX, rng), BATCH, CTX, rng)  # type: ignore[arg-type]
    composed = whole.encode(encoded, BATCH, CTX, generator(1))  # type: ignore[arg-type]
    assert torch.equal(composed.cond, by_hand.cond)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (GaussianNoise, {"std": -1}, "in std"),
        (GaussianNoise, {"std": "much"}, "in std"),
        (TokenNoise, {"p": 2}, "in p"),
        (TokenNoise, {"std": -0.1}, "in std"),
        (Mixup, {"lam": 0}, "in lam"),
        (PromptNoise, {"std": float("nan")}, "in std"),
        (PromptNoise, {"halves": "bth"}, "Did you mean 'both'"),
    ],
)
def test_parameters_out_of_range_are_refused(
    kind: type[Method], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**options)
