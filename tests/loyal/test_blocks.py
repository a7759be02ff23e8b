from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from loyal.blocks import (
    BLOCKS,
    CONVOLUTIONS,
    PARAMETER_FREE,
    Transfer,
    draw,
    skip_names,
)
from loyal.layers import MaxUnpool, NoSkip, new_block
from replication_bench.errors import ConfigError

SIZES = [(1, 1), (1, 3), (2, 1), (3, 2), (4, 4), (5, 7)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(channels: int = 6, seed: int = 0, **options: Any) -> nn.Module:
    transfer = Transfer(**options)
    block = new_block(transfer.options, channels)
    draw(block, transfer.init, torch.Generator().manual_seed(seed))
    return block


def convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [module for module in block.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [name for name in BLOCKS if name != "no_skip"])
def test_every_block_keeps_the_shape(block: str, size: tuple[int, int]) -> None:
    skip = noise(2, 6, *size)
    assert drawn(block=block)(skip).shape == skip.shape


@pytest.mark.parametrize("size", SIZES)
def test_max_unpool_keeps_each_windows_maximum_in_place(size: tuple[int, int]) -> None:
    skip = noise(2, 3, *size)
    out = MaxUnpool()(skip)
    for y in range(0, size[0], 2):
        for x in range(0, size[1], 2):
            window, kept = (tensor[..., y : y + 2, x : x + 2].flatten(2) for tensor in (skip, out))
            assert torch.equal(kept.sum(2), window.amax(2))
            assert ((kept != 0).sum(2) == 1).all()


def test_max_unpool_is_the_pooling_pair_of_pytorch() -> None:
    skip = noise(2, 3, 6, 4)
    pooled, indices = functional.max_pool2d(skip, 2, return_indices=True)
    assert torch.equal(MaxUnpool()(skip), functional.max_unpool2d(pooled, indices, 2))


def test_max_unpool_runs_where_only_deterministic_algorithms_may() -> None:
    skip = noise(1, 2, 3, 3).requires_grad_()
    torch.use_deterministic_algorithms(True)
    try:
        out = MaxUnpool()(skip)
        torch.autograd.backward(out.sum())
    finally:
        torch.use_deterministic_algorithms(False)
    assert skip.grad is not None
    assert torch.equal(skip.grad, (out != 0).float())


def test_max_unpool_reads_channels_last_memory() -> None:
    skip = noise(2, 3, 5, 4)
    assert torch.equal(MaxUnpool()(skip.to(memory_format=torch.channels_last)), MaxUnpool()(skip))


def test_no_skip_is_the_incoming_tensor_cropped_in_channels() -> None:
    skip, incoming = noise(2, 3, 4, 4), noise(2, 5, 4, 4, seed=1)
    assert torch.equal(NoSkip(3)(skip, incoming), incoming[:, :3])


def test_identity_and_dirac_change_nothing() -> None:
    skip = noise(2, 6, 5, 5)
    assert torch.equal(drawn(block="identity")(skip), skip)
    assert torch.equal(drawn(block="conv3x3", init="dirac")(skip), skip)
    assert not torch.allclose(drawn(block="conv3x3")(skip), skip)


@pytest.mark.parametrize(("block", "convs"), [("conv3x3", 1), ("conv3x3_silu", 1), ("multi_conv", 3)])
def test_zero_residual_starts_as_the_identity_and_learns(block: str, convs: int) -> None:
    skip, module = noise(2, 6, 5, 5), drawn(block=block, convs=convs, init="zero_residual")
    assert torch.equal(module(skip), skip)
    torch.autograd.backward(module(skip).square().sum())
    gradient = convolutions(module)[-1].weight.grad
    assert gradient is not None
    assert gradient.any()


def test_silu_and_multi_conv_are_what_their_names_say() -> None:
    skip = noise(2, 6, 5, 5)
    (conv,) = convolutions(silu := drawn(block="conv3x3_silu"))
    assert torch.equal(silu(skip), functional.silu(conv(skip)))
    multi, expected = drawn(block="multi_conv", convs=3), skip
    assert len(convolutions(multi)) == 3
    for conv in convolutions(multi):
        expected = functional.silu(conv(expected))
    assert torch.equal(multi(skip), expected)


def test_default_init_is_the_one_of_pytorch() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        reference = nn.Conv2d(6, 6, 3, padding=1)
    (conv,) = convolutions(drawn(block="conv3x3", seed=7))
    assert torch.equal(conv.weight, reference.weight)
    assert conv.bias is not None
    assert reference.bias is not None
    assert torch.equal(conv.bias, reference.bias)


def test_default_init_shrinks_a_unit_variance_skip() -> None:
    out = drawn(64, block="conv3x3")(noise(8, 64, 16, 16))
    assert 0.5 < out.std().item() < 0.62


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    drawn(block="multi_conv", convs=2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("trainable", [True, False])
def test_trainable_or_frozen_the_parameters_are_registered(trainable: bool) -> None:
    parameters = list(drawn(block="conv3x3", trainable=trainable).parameters())
    assert [parameter.requires_grad for parameter in parameters] == [trainable, trainable]


@pytest.mark.parametrize("block", PARAMETER_FREE)
def test_parameter_free_blocks_have_no_parameters(block: str) -> None:
    assert not drawn(block=block).state_dict()


@pytest.mark.parametrize("block", CONVOLUTIONS)
def test_blocks_take_a_dtype(block: str) -> None:
    transfer = Transfer(block=block)
    module = new_block(transfer.options, 4, dtype=torch.bfloat16)
    draw(module, transfer.init, torch.Generator())
    assert module(noise(1, 4, 2, 2).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("SC4, SC3", ("SC3", "SC4")),
        (["SC2"], ("SC2",)),
        (("SC1", "conv_in"), ("conv_in", "SC1")),
    ],
)
def test_skips_are_named_in_the_order_of_the_encoder(given: object, expected: tuple[str, ...]) -> None:
    assert skip_names(given) == expected


@pytest.mark.parametrize("given", ["", [], None, 3, ["SC3", 3], "SC3,SC3", "SC5"])
def test_unusable_skips_are_refused(given: object) -> None:
    with pytest.raises(ConfigError):
        skip_names(given)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"block": "conv3x4"}, "Did you mean 'conv3x3'"),
        ({"init": "dirak"}, "Did you mean 'dirac'"),
        ({"skips": ("SC33",)}, "Did you mean 'SC3'"),
        ({"trainable": "yes"}, "true or false"),
        ({"block": "multi_conv", "convs": 0}, "an integer"),
        ({"block": "multi_conv", "convs": True}, "an integer"),
        ({"convs": 2}, "one size"),
        ({"seed": -1}, "an integer"),
        ({"block": "max_unpool", "init": "dirac"}, "nothing to initialise"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_one_line(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as caught:
        Transfer(**options)
    assert "\n" not in str(caught.value)
