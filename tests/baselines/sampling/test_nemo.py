from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sampling_case import batch_context, latents, sampler
from scipy.ndimage import convolve1d

from baselines.sampling.attention import cross_attentions
from baselines.sampling.nemo import PARTS, Masked, Nemo
from baselines.sampling.neurons import Moments, NeuronSearch, first_step_layers, statistics
from baselines.sampling.neutral import reference_captions
from baselines.sampling.ren import Ren
from baselines.sampling.ssim import ssim
from loyal.method import Loyal
from replication_bench.backbone import Backbone
from replication_bench.config import NamedOptions, RunConfig
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.resolve import build_method

EPS = SimpleNamespace(config=SimpleNamespace(prediction_type="epsilon"))


def test_a_mask_equals_zeroing_the_weights_by_hand(backbone: Backbone) -> None:
    run = sampler(backbone, Nemo())
    ctx, states = batch_context(run)
    layers = cross_attentions(run.counter, ctx, PARTS)
    widths = [layer.to_v.out_features for layer in layers]
    rng = torch.Generator().manual_seed(0)
    kept = torch.rand(3, sum(widths), generator=rng) > 0.5
    x_t, t = torch.cat([ctx.samples.noise] * 2), torch.tensor([901] * 6)
    cond = torch.cat([states.uncond, states.cond])
    got = Masked(run.counter, layers, kept)(x_t, t, cond)
    for sample in range(3):
        twin = copy.deepcopy(run.counter.denoiser)
        own = cross_attentions(twin, SimpleNamespace(networks=()), PARTS)
        for layer, mask in zip(own, kept[sample].split(widths), strict=True):
            layer.to_v.weight.data[~mask] = 0
        want = twin(x_t, t, cond)
        assert torch.allclose(got[[sample, sample + 3]], want[[sample, sample + 3]], atol=1e-5)
    assert not torch.allclose(got, run.counter(x_t, t, cond), atol=1e-3)


def test_only_layers_of_the_way_down_and_of_the_middle_are_searched(backbone: Backbone) -> None:
    run = sampler(backbone, Nemo())
    ctx, _ = batch_context(run)
    unet: Any = ctx.networks[0]
    want = [b.transformer_blocks[0].attn2 for d in unet.down_blocks[:3] for b in d.attentions]
    assert cross_attentions(run.counter, ctx, PARTS) == [
        *want,
        unet.mid_block.attentions[0].transformer_blocks[0].attn2,
    ]


def test_of_a_routed_method_only_the_network_of_the_first_step_is_searched(backbone: Backbone) -> None:
    run = sampler(backbone, Loyal())
    ctx, states = batch_context(run)
    layers = cross_attentions(run.counter, ctx, PARTS)
    found = first_step_layers(
        layers, lambda: run.counter(ctx.samples.noise, torch.tensor([901] * 3), states.cond)
    )
    tail = cross_attentions(run.counter.denoiser.tail, SimpleNamespace(networks=()), PARTS)
    assert [layers[index] for index in found] == tail
    assert len(layers) == 2 * len(tail)


def test_statistics_are_mean_and_deviation_of_the_mean_absolute_value(backbone: Backbone) -> None:
    run = sampler(backbone, Nemo())
    layers = cross_attentions(run.counter, run.ctx, PARTS)
    captions = ["red circle", "blue line", "a green square"]
    values = (backbone.encode_text(captions) @ layers[1].to_v.weight.T).abs().mean(1)
    found = statistics(layers, captions, backbone)[1]
    assert torch.allclose(found.mean, values.mean(0), atol=1e-6)
    assert torch.allclose(found.std, values.std(0), atol=1e-6)


def planted(needed: tuple[int, ...], deviations: list[float]) -> NeuronSearch:
    """Two layers of 4 and 3 neurons. Prompt 0 is memorised as long as one of ``needed`` is on; prompt 1 never is."""
    rng = torch.Generator().manual_seed(0)
    noises = [torch.randn(2, 2, 8, 8, generator=rng) for _ in range(3)]
    memory, free = torch.randn(2, 8, 8, generator=rng), torch.randn(3, 2, 2, 8, 8, generator=rng)

    def first_step(noise: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        place = next(index for index, other in enumerate(noises) if other is noise)
        steps = free[place].clone()
        if kept[0, list(needed)].any():
            steps[0] = memory
        return steps + noise

    activations = torch.tensor([deviations, deviations])
    return NeuronSearch(
        activations=list(activations.split([4, 3], dim=1)),
        reference=[Moments(torch.zeros(n), torch.ones(n)) for n in (4, 3)],
        noises=noises,
        t=torch.tensor([900, 900]),
        first_step=first_step,
        scheduler=EPS,
        alike=0.428,
    )


THETAS = [5 - 0.25 * index for index in range(17)]


def test_the_planted_neuron_is_found_and_the_others_are_given_back() -> None:
    search = planted((5,), [0.0, 4.6, 0.0, 3.4, 3.3, 3.2, 0.0])
    assert search.looked_at.all(1).tolist() == [False] * 3
    assert search.looked_at[:, 0].all()
    assert not search.looked_at[:, 1].any()
    blocked = search.select(THETAS, 0.428, top=False)
    assert blocked[0].nonzero()[:, 0].tolist() == [1, 3, 4, 5]
    blocked = search.without_layers(blocked)
    assert blocked[0].nonzero()[:, 0].tolist() == [4, 5]
    blocked = search.without_neurons(blocked, 99)
    assert blocked[0].nonzero()[:, 0].tolist() == [5]
    assert not blocked[1].any()


@pytest.mark.parametrize("needed", [(0,), (3,), (6,), (0, 6), (1, 2, 4)])
def test_groups_end_where_trying_one_by_one_ends(needed: tuple[int, ...]) -> None:
    search = planted(needed, [4.6] * 7)
    blocked = search.select(THETAS, 0.428, top=False)
    one_by_one = blocked[0].clone()
    for neuron in search.order(blocked[0]):
        fewer = one_by_one.clone()
        fewer[neuron] = False
        if search.score(torch.stack([fewer, blocked[1]]))[0] < search.limits[0]:
            one_by_one = fewer
    assert torch.equal(search.without_neurons(blocked, 99)[0], one_by_one)
    assert one_by_one.nonzero()[:, 0].tolist() == list(needed)


def test_what_the_tries_do_not_reach_stays_blocked() -> None:
    search = planted((5,), [4.6] * 7)
    blocked = search.select(THETAS, 0.428, top=False)
    assert torch.equal(search.without_neurons(blocked, 1), blocked)  # the first try is all of them, and fails
    some = search.without_neurons(blocked, 3)
    assert some[0].sum() in range(2, 7)
    assert some[0, 5]


def test_neurons_that_are_needed_together_stay_together() -> None:
    search = planted((1, 5), [0.0, 4.6, 0.0, 3.4, 3.3, 3.2, 0.0])
    blocked = search.without_neurons(search.without_layers(search.select(THETAS, 0.428, top=False)), 99)
    assert blocked[0].nonzero()[:, 0].tolist() == [1, 5]


def test_a_neuron_far_below_its_mean_is_a_candidate_too() -> None:
    search = planted((5,), [0.0, 0.0, 0.0, 0.0, 0.0, -4.6, 0.0])
    assert search.deviation[0].tolist() == pytest.approx([0, 0, 0, 0, 0, 4.6, 0])
    assert search.select(THETAS, 0.428, top=False)[0].nonzero()[:, 0].tolist() == [5]


def test_the_largest_activations_join_one_by_one() -> None:
    search = planted((5,), [0.9, 0.1, 0.2, 0.3, 0.4, 0.8, 0.7])
    blocked = search.select(THETAS, 0.428, top=True)
    assert blocked[0].nonzero()[:, 0].tolist() == [0, 5]
    assert not search.select(THETAS[:-1], 0.428, top=False)[0].any()


def test_nothing_is_given_back_that_would_bring_a_stubborn_prompt_nearer() -> None:
    search = planted(tuple(range(7)), [2.0] * 4 + [0.0] * 3)
    blocked = search.select(THETAS, 0.428, top=False)
    assert search.limits.tolist() == pytest.approx([1.0, 0.428])
    assert blocked[0].tolist() == [True] * 4 + [False] * 3


def test_a_prompt_that_is_not_memorised_is_sampled_as_before(backbone: Backbone) -> None:
    run = sampler(backbone, Nemo(threshold=1.0, seeds=2))
    assert torch.equal(latents(run), latents(sampler(backbone, Method())))


def test_switched_off_neurons_change_the_images_and_a_batch_does_not(backbone: Backbone) -> None:
    method = Nemo(threshold=0.05, seeds=2, theta=2.0, theta_min=2.0, refinement="layers")
    run = sampler(backbone, method)
    together, alone = latents(run, [0, 1, 2]), latents(run, [1])
    assert torch.allclose(together[1], alone[0], atol=1e-3)
    assert not torch.allclose(together, latents(sampler(backbone, Method())), atol=1e-3)


def test_the_threshold_is_mean_plus_deviation_of_the_reference_captions(backbone: Backbone) -> None:
    method = Nemo(seeds=2)
    run = sampler(backbone, method)
    ctx, _ = batch_context(run)
    limit = method.limit(run.counter, ctx)
    assert run.counter.rows == 2 * 64
    assert method.limit(run.counter, ctx) == limit
    assert run.counter.rows == 2 * 64
    captions = reference_captions("")[::4]
    states, t = backbone.encode_text(captions), torch.tensor([901] * 64)
    steps = []
    for noise in method.noises(ctx, 64):
        with torch.no_grad():
            v = run.counter.denoiser(noise, t, states)
        abar = backbone.scheduler.alphas_cumprod[901]
        step = abar.sqrt() * v + (1 - abar).sqrt() * noise - noise
        low, high = step.amin((2, 3), keepdim=True), step.amax((2, 3), keepdim=True)
        steps.append((step - low) / (high - low))
    values = ssim(*steps)
    assert limit == pytest.approx(float(values.mean() + values.std()), abs=1e-5)
    assert Nemo(threshold=0.3).limit(run.counter, ctx) == 0.3


def test_wrappers_of_other_methods_do_not_see_the_reference_captions(backbone: Backbone) -> None:
    run = sampler(backbone, Nemo(seeds=2))
    ctx, _ = batch_context(run)
    alone = Nemo(seeds=2).limit(run.counter, ctx)
    ctx.memo.clear()
    assert Nemo(seeds=2).limit(Ren(scale=3.0).wrap(run.counter, ctx), ctx) == alone


def test_the_reference_is_computed_once_a_run(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = Backbone.encode_text
    monkeypatch.setattr(
        Backbone, "encode_text", lambda self, texts: (calls.append(len(texts)), real(self, texts))[1]
    )
    run = sampler(backbone, Nemo(threshold=1.0, seeds=2))
    latents(run)
    first = sum(calls)
    latents(run)
    assert first > 256
    assert sum(calls) - first < 20


def test_reference_captions(tmp_path: Path) -> None:
    assert len(set(reference_captions(""))) == 256
    path = tmp_path / "captions.txt"
    path.write_text("one\n\n two \n", encoding="utf-8")
    assert reference_captions(str(path)) == ["one", "two"]
    for content in (b"only one\n", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            Nemo(captions=str(path))
        assert "\n" not in str(caught.value)


def test_edited_reference_captions_are_another_run(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")

    def fingerprint() -> str:
        return RunConfig(
            dataset=NamedOptions(name="openmoji"),
            method=build_method("nemo", {"nemo": {"captions": str(path)}})[1],
        ).fingerprint()

    before, recorded = fingerprint(), asdict(Nemo(captions=str(path)))
    assert recorded["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Nemo(**recorded) == Nemo(captions=str(path))
    path.write_text("one\nthree\n", encoding="utf-8")
    assert fingerprint() != before
    with pytest.raises(ConfigError, match="not the one that this configuration names"):
        Nemo(**recorded)


def test_the_shipped_reference_captions_are_pinned_too() -> None:
    assert Nemo().sha256 not in ("", Nemo(captions=__file__).sha256)


def ssim_by_scipy(left: np.ndarray, right: np.ndarray, size: int) -> tuple[float, float]:
    line = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * 1.5**2))
    line /= line.sum()
    edge = size // 2

    def smooth(values: np.ndarray) -> np.ndarray:
        for axis in (1, 2):
            values = convolve1d(values, line, axis=axis)
        return values[:, edge:-edge, edge:-edge]

    a, b = smooth(left), smooth(right)
    va, vb, cov = smooth(left**2) - a**2, smooth(right**2) - b**2, smooth(left * right) - a * b
    contrast = (2 * cov + 0.0009) / (va + vb + 0.0009)
    return float(((2 * a * b + 0.0001) / (a**2 + b**2 + 0.0001) * contrast).mean()), float(contrast.mean())


@pytest.mark.parametrize(("side", "size"), [(8, 7), (16, 11), (43, 11)])
def test_small_tensors_have_one_scale(side: int, size: int) -> None:
    rng = np.random.default_rng(0)
    left = rng.random((2, 3, side, side))
    right = 0.7 * left + 0.3 * rng.random(left.shape)
    want = [ssim_by_scipy(left[row], right[row], size)[0] for row in range(2)]
    assert np.allclose(ssim(torch.from_numpy(left), torch.from_numpy(right)), want, atol=1e-6)


def test_large_tensors_have_three_scales() -> None:
    rng = np.random.default_rng(0)
    left = rng.random((1, 2, 64, 64))
    right = 0.9 * left + 0.1 * rng.random(left.shape)
    got = ssim(torch.from_numpy(left), torch.from_numpy(right))
    want, a, b = 1.0, left[0], right[0]
    for scale in range(3):
        whole, contrast = ssim_by_scipy(a, b, 11)
        want *= max(whole if scale == 2 else contrast, 0) ** 0.33
        a, b = (values.reshape(2, len(values[0]) // 2, 2, -1, 2).mean((2, 4)) for values in (a, b))
    assert got.item() == pytest.approx(want, abs=1e-6)
    assert ssim(torch.from_numpy(left), torch.from_numpy(left)).item() == pytest.approx(1)
