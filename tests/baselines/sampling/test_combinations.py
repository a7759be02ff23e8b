from __future__ import annotations

import pytest
import torch
from sampling_case import batch_context, latents, rows_an_image, sampler

from loyal.method import Loyal
from replication_bench.backbone import Backbone
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.resolve import build_method

TOGETHER = [
    "wen+loyal",
    "ren+loyal",
    "loyal+wen",
    "cfg-static+wen",
    "loyal+ren+wen+sail+amg",
    "nemo+ren+initnoise",
]
SHORT = {
    "wen": {"iterations": 2},
    "sail": {"iterations": 2},
    "initnoise": {"iterations": 2},
    "nemo": {"seeds": 2, "theta": 1, "refinement": "none", "threshold": 0.01},
    "amg": {"low": -10, "high": -10},
}


def built(name: str) -> Method:
    return build_method(name, {part: SHORT[part] for part in name.split("+") if part in SHORT})[0]


@pytest.mark.parametrize("name", TOGETHER)
def test_parts_act_together(backbone: Backbone, name: str) -> None:
    method = built(name)
    images = latents(sampler(backbone, method), [0, 1])
    assert images.isfinite().all()
    for part in name.split("+"):
        rest = "+".join(other for other in name.split("+") if other != part)
        if part != "loyal":  # without it the networks are others
            assert not torch.allclose(images, latents(sampler(backbone, built(rest)), [0, 1]), atol=1e-4), (
                part
            )


def test_the_order_of_a_training_and_a_sampling_method_does_not_matter(backbone: Backbone) -> None:
    one, other = (latents(sampler(backbone, built(name)), [0, 1]) for name in ("wen+loyal", "loyal+wen"))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("first", "second"), [("cfg-static", "amg"), ("amg", "cfg-dynamic")])
def test_two_owners_of_the_guidance_are_named(first: str, second: str) -> None:
    with pytest.raises(ConfigError, match=f"'{first}' and '{second}' cannot be combined.*'guide'"):
        built(f"{first}+{second}")


@pytest.mark.parametrize("wrapping", ["ren", "nemo", "ren+nemo"])
def test_a_batch_of_unlike_timesteps_is_predicted_row_by_row(backbone: Backbone, wrapping: str) -> None:
    """Routing hands each network some of the rows, and what ``wrap`` multiplies by belongs to rows of the batch."""
    method = built(f"loyal+{wrapping}")
    run = sampler(backbone, method)
    ctx, states = batch_context(run)
    x_t, cond = torch.cat([ctx.samples.noise] * 2), torch.cat([states.uncond, states.cond])
    with torch.no_grad():
        denoiser = method.wrap(run.counter, ctx)
        for t in ([901, 1, 601, 1, 601, 901], [901, 901, 901, 901, 901, 499], [500, 499, 500, 499, 500, 499]):
            mixed = denoiser(x_t, torch.tensor(t), cond)
            for row, value in enumerate(t):
                alike = denoiser(x_t, torch.tensor([value] * 6), cond)[row]
                assert torch.allclose(mixed[row], alike, atol=1e-5), (t, row)
            plain = run.counter(x_t, torch.tensor(t), cond)
            assert not torch.allclose(mixed, plain, atol=1e-4), t


def test_wen_looks_through_rens_attention(backbone: Backbone) -> None:
    """What ``wrap`` returns is what the optimisation descends: with ``ren`` it ends elsewhere."""
    run = sampler(backbone, built("ren+wen"))
    assert rows_an_image(run) == 1 + 2 + 2 * 4


def test_loyal_alone_is_not_touched_by_the_sampling_methods_being_there(backbone: Backbone) -> None:
    plain = latents(sampler(backbone, Loyal()), [0, 1])
    assert torch.equal(plain, latents(sampler(backbone, built("loyal")), [0, 1]))


SAMPLING = ["ren", "nemo", "wen", "sail", "initnoise", "amg", "cfg-static", "cfg-dynamic", "gni"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SAMPLING)
def test_every_sampling_method_works_in_every_precision(
    backbone: Backbone, name: str, precision: str
) -> None:
    """The sampler computes in float32 while the networks do not: hooks inside them meet the networks' dtype."""
    method = built(name)
    found, plain = (
        latents(sampler(backbone, one, steps=2, speed={"precision": precision}), [0, 1])
        for one in (method, Method())
    )
    assert found.isfinite().all()
    assert found.dtype == torch.float32
    assert not torch.allclose(found, plain, atol=1e-3)
