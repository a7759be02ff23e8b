from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sampling_case import EXAMPLES, batch_context, latents, sampler

from baselines.sampling.attention import cross_attentions, networks_of
from baselines.sampling.ren import Ren, Rescaled, padding_mask, prompt_lengths
from loyal.method import Loyal
from replication_bench.backbone import Backbone
from replication_bench.compose import compose
from replication_bench.method import Method, SampleBatch
from replication_bench.testing import load_backbone, tiny_backbone


def attention_by_hand(
    attention: Any, hidden: torch.Tensor, states: torch.Tensor, scale: float, length: int
) -> torch.Tensor:
    """One row: softmax of the logits over the first ``length`` tokens, the first logit times ``scale``."""
    heads, width = attention.heads, attention.to_q.out_features // attention.heads
    out = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        query = attention.to_q(hidden)[:, part]
        key, value = attention.to_k(states)[:length, part], attention.to_v(states)[:length, part]
        logits = query @ key.T / width**0.5
        logits = torch.cat([scale * logits[:, :1], logits[:, 1:]], dim=1)
        out.append(torch.softmax(logits, dim=1) @ value)
    return attention.to_out[0](torch.cat(out, dim=1))


def test_rescaled_attention_equals_attention_computed_directly(backbone: Backbone) -> None:
    run = sampler(backbone, Ren())
    attention = cross_attentions(run.counter, run.ctx)[0]
    rng = torch.Generator().manual_seed(0)
    hidden = torch.randn(4, 9, attention.to_q.in_features, generator=rng)
    states = torch.randn(4, 16, 32, generator=rng)
    samples = SampleBatch(("a", "b"), hidden, hidden, 3.0, uncond=states[:2])
    lengths = torch.tensor([5, 9])
    rescaled = Rescaled(
        lambda x, t, c: attention(x, encoder_hidden_states=c), [attention], 1.25, lengths, samples
    )
    with torch.no_grad():
        got = rescaled(hidden, torch.zeros(4), states)
        scales = [1.0, 1.0, 1.25, 1.25]  # rows 0 and 1 are the unconditional states of samples 0 and 1
        want = [
            attention_by_hand(attention, hidden[row], states[row], scales[row], int(lengths[row % 2]))
            for row in range(4)
        ]
    assert torch.allclose(got, torch.stack(want), atol=1e-5)
    plain = attention(hidden, encoder_hidden_states=states)
    assert not torch.allclose(got, plain, atol=1e-3)


def test_the_mask_hides_what_follows_the_prompts_end_token(backbone: Backbone) -> None:
    lengths = prompt_lengths(backbone.tokenizer, ["", "red circle", "red " * 40])
    assert lengths.tolist() == [2, 4, 16]
    mask = padding_mask(lengths, torch.zeros(3, 16, 32))
    assert mask.shape == (3, 1, 16)
    assert (mask[:, 0] == 0).sum(1).tolist() == lengths.tolist()
    assert torch.isneginf(mask[1, 0, 4:]).all()


def test_without_mask_and_with_scale_one_the_images_are_plain_to_the_bit(backbone: Backbone) -> None:
    plain = latents(sampler(backbone, Method()))
    assert torch.equal(latents(sampler(backbone, Ren(scale=1.0, mask=False))), plain)
    for changed in (Ren(scale=1.0), Ren(mask=False)):
        assert not torch.allclose(latents(sampler(backbone, changed)), plain, atol=1e-3)


@pytest.mark.parametrize("noised", [False, True])
def test_the_logit_is_scaled_in_conditional_rows_alone_however_many_blocks(
    backbone: Backbone, noised: bool
) -> None:
    run = sampler(backbone, Ren())
    ctx, states = batch_context(run)
    if noised:  # as a method does that perturbs both halves
        states = states._replace(uncond=states.uncond + torch.randn(states.uncond.shape) * 0.1)
        ctx.samples.uncond = states.uncond
    wrapped: Any = Ren(mask=False).wrap(run.counter, ctx)
    rows = torch.cat([states.uncond, states.cond, states.cond * 2])
    factors = wrapped.factors(rows, blocks=3)
    assert factors[:3].eq(1).all()
    assert factors[3:, 0].eq(1.25).all()
    assert factors[3:, 1:].eq(1).all()


def test_hooks_stand_only_while_the_denoiser_is_called(backbone: Backbone) -> None:
    run = sampler(backbone, Ren())
    ctx, states = batch_context(run)
    modules = cross_attentions(run.counter, ctx)

    def left() -> int:
        hooked = [*modules, *(attention.to_k for attention in modules)]
        return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in hooked)

    wrapped = Ren().wrap(run.counter, ctx)
    wrapped(ctx.samples.noise, torch.tensor([901] * 3), states.cond)
    assert left() == 0
    with pytest.raises(RuntimeError):
        wrapped(ctx.samples.noise[:, :1], torch.tensor([901] * 3), states.cond)
    assert left() == 0


@pytest.mark.parametrize("method", [Loyal(), Loyal(trainable=False, redraw=True)], ids=["routed", "redrawn"])
def test_every_network_that_is_called_is_rescaled(backbone: Backbone, method: Loyal) -> None:
    both = compose([("ren", Ren()), ("loyal", method)])
    run, plain = sampler(backbone, both), sampler(backbone, method)
    ctx, states = batch_context(run)
    wrapped = both.wrap(run.counter, ctx)
    for t in (100, 900):
        arguments = ctx.samples.noise, torch.tensor([t] * 3), states.cond
        assert not torch.allclose(wrapped(*arguments), plain.counter(*arguments), atol=1e-4), t


def test_networks_are_found_behind_wrappers(backbone: Backbone) -> None:
    run = sampler(backbone, Ren())
    ctx, _ = batch_context(run)
    twice = Ren().wrap(Ren().wrap(run.counter, ctx), ctx)
    assert any(network is run.counter.denoiser for network in networks_of(twice, ctx))
    assert len(EXAMPLES) >= len(ctx.samples.prompts)


@pytest.mark.slow
def test_a_compiled_network_keeps_to_its_own_hooks(tmp_path: Path) -> None:
    """One process samples ``none`` and then ``ren``: networks of equal code share graphs, but not hooks."""
    backbone = load_backbone(tiny_backbone(tmp_path / "b", levels=2, channels=8))
    plain, rescaled = (
        latents(sampler(backbone, method, steps=1, speed={"compile": "aot_eager"}), [0])
        for method in (Method(), Ren())
    )
    torch.testing.assert_close(rescaled, latents(sampler(backbone, Ren(), steps=1), [0]), atol=1e-3, rtol=0)
    assert not torch.allclose(plain, rescaled, atol=1e-2)
