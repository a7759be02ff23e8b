"""Facts of the SD 2.1 U-Net (twelve skips, 73,734,400 added parameters) and exactness of identity transfers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from loyal.rau_unet import add_transfer_blocks, load_rau_unet, skip_tensors, transfer_keys
from loyal.routing import Routed
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError


def sd21_shape() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(
            sample_size=96,
            block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2,
            cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
        )


def count(unet: torch.nn.Module) -> int:
    return sum(p.numel() for p in unet.parameters())


def test_sd21_has_twelve_skip_tensors() -> None:
    found = [tensor.channels for tensor in skip_tensors(sd21_shape())]
    assert found == [320, 320, 320, 320, 640, 640, 640, 1280, 1280, 1280, 1280, 1280]


@pytest.mark.parametrize(
    ("skips", "added"),
    [(("SC3", "SC4"), 73_734_400), (("conv_in", "SC1", "SC2", "SC3", "SC4"), 88_483_200)],
)
def test_added_parameters(skips: tuple[str, ...], added: int) -> None:
    base = sd21_shape()
    before, keys = count(base), set(base.state_dict())
    rau = add_transfer_blocks(base, skips=skips)
    assert count(rau) - before == added
    assert set(rau.state_dict()) - keys == transfer_keys(rau)


@pytest.fixture(scope="module")
def unet(tiny: Path) -> UNet2DConditionModel:
    # a copy, since weights mapped from a file are aligned otherwise and may take another matrix kernel
    return copy.deepcopy(UNet2DConditionModel.from_pretrained(tiny / "unet").eval())


@pytest.fixture
def inputs(unet: UNet2DConditionModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    size = (3, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    cond = torch.randn(3, 7, unet.config.cross_attention_dim, generator=rng)
    return torch.randn(size, generator=rng), torch.tensor([10, 700, 499]), cond


def predict(unet: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.no_grad():
        return UNetDenoiser(unet)(*inputs)


@pytest.mark.parametrize(
    ("block", "init"), [("identity", "default"), ("conv3x3", "dirac"), ("conv3x3", "zero_residual")]
)
def test_identity_transfers_change_nothing(
    unet: UNet2DConditionModel, inputs: tuple, block: str, init: str
) -> None:
    rau = add_transfer_blocks(copy.deepcopy(unet), block=block, init=init)
    assert torch.equal(predict(rau, inputs), predict(unet, inputs))


def test_default_transfers_change_the_output(unet: UNet2DConditionModel, inputs: tuple) -> None:
    assert not torch.allclose(
        predict(add_transfer_blocks(copy.deepcopy(unet)), inputs), predict(unet, inputs)
    )


def test_a_deep_copy_calls_its_own_blocks(unet: UNet2DConditionModel, inputs: tuple) -> None:
    rau = add_transfer_blocks(copy.deepcopy(unet))
    twin = copy.deepcopy(rau)
    before = predict(twin, inputs)
    for key, value in rau.state_dict().items():
        if key in transfer_keys(rau):
            value.zero_()
    assert torch.equal(predict(twin, inputs), before)
    assert not torch.equal(predict(rau, inputs), before)


def test_saved_and_loaded_strictly(unet: UNet2DConditionModel, inputs: tuple, tmp_path: Path) -> None:
    rau = add_transfer_blocks(copy.deepcopy(unet))
    rau.save_pretrained(tmp_path)
    assert torch.equal(predict(load_rau_unet(tmp_path).eval(), inputs), predict(rau, inputs))


def test_routing_equals_row_by_row(unet: UNet2DConditionModel, inputs: tuple) -> None:
    tail = add_transfer_blocks(copy.deepcopy(unet))
    routed = Routed(UNetDenoiser(unet), UNetDenoiser(tail), 500)
    x_t, t, cond = inputs
    with torch.no_grad():
        whole = routed(x_t, t, cond)
        rows = [routed(x_t[i : i + 1], t[i], cond[i : i + 1]) for i in range(3)]
        sides = [predict(net, (x_t, t, cond)) for net in (unet, tail)]
    torch.testing.assert_close(whole, torch.cat(rows), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        whole, torch.stack([sides[0][0], sides[1][1], sides[0][2]]), atol=1e-5, rtol=1e-5
    )


def test_unknown_names_are_refused(unet: UNet2DConditionModel) -> None:
    for options in ({"skips": ("SC9",)}, {"block": "conv5x5"}, {"init": "zeros"}):
        with pytest.raises(ConfigError):
            add_transfer_blocks(copy.deepcopy(unet), **options)
