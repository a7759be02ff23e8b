"""The model that an exported pipeline carries: what it predicts, how it is saved, and what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from loyal.method import Loyal
from loyal.rau_unet import add_transfer_blocks
from loyal.routed_unet import RoutedUNet
from loyal.routing import Routed
from replication_bench.backbone import Backbone
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError
from replication_bench.testing import Case, load_backbone

SAFE = "diffusion_pytorch_model.safetensors"
ALL = ("conv_in", "SC1", "SC2", "SC3", "SC4")
VARIANTS = {
    "published": {},
    "all skips": {"skips": ALL, "side": "both"},
    "no skip": {"block": "no_skip"},
    "residual": {"block": "multi_conv", "convs": 2, "init": "zero_residual", "trainable": False},
    "max unpool": {"block": "max_unpool"},
    "whole": {"split": False, "skips": ALL},
}


@pytest.fixture(scope="module")
def backbone(tiny: Path) -> Backbone:
    return load_backbone(tiny)


def routed(backbone: Backbone, **options: Any) -> tuple[Case, Any, Any]:
    case = Case(Loyal(**options), backbone)
    denoiser: Any = case.denoiser(case.networks())
    return case, denoiser, denoiser.component()


def predict(case: Case, unet: Any, t: Any = None, **more: Any) -> Tensor:
    t = case.border_timesteps() if t is None else t
    with torch.no_grad():
        prediction: Tensor = unet(case.noise(7), t, case.cond(8), **more).sample
    return prediction


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_loaded_strictly_it_predicts_what_the_denoiser_predicts(
    backbone: Backbone, variant: str, tmp_path: Path
) -> None:
    case, denoiser, unet = routed(backbone, **VARIANTS[variant])
    assert torch.equal(predict(case, unet), case.predict(denoiser))
    unet.save_pretrained(tmp_path)
    loaded = RoutedUNet.from_pretrained(tmp_path)
    got, want = loaded.state_dict(), unet.state_dict()
    assert got.keys() == want.keys()
    assert all(torch.equal(got[key], want[key]) for key in want)
    torch.testing.assert_close(predict(case, loaded), predict(case, unet), rtol=1e-5, atol=1e-5)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / SAFE).read_bytes() == (tmp_path / SAFE).read_bytes()


@pytest.mark.parametrize("t", [3, 3.0, torch.tensor(3), torch.tensor([3]), torch.tensor([3] * 4)])
def test_a_timestep_comes_in_any_form_that_pipelines_use(backbone: Backbone, t: Any) -> None:
    case, _, unet = routed(backbone)
    assert torch.equal(predict(case, unet, t), predict(case, unet.unets[0], 3))


def test_tau_belongs_to_the_tail(backbone: Backbone) -> None:
    case, _, unet = routed(backbone, tau=300)
    for t, network in ((299, unet.unets[0]), (300, unet.unets[1])):
        assert torch.equal(predict(case, unet, t), predict(case, network, t))


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
@pytest.mark.parametrize("low_memory", [True, False])
def test_loading_is_strict(backbone: Backbone, change: str, low_memory: bool, tmp_path: Path) -> None:
    routed(backbone)[2].save_pretrained(tmp_path)
    state = load_file(tmp_path / SAFE)
    key = "unets.1.down_blocks.3.transfer_blocks.0.weight"
    if change == "missing":
        del state[key]
    else:
        state[key if change == "shape" else "elsewhere"] = torch.zeros(2)
    save_file(state, tmp_path / SAFE, metadata={"format": "pt"})
    with pytest.raises(
        (ValueError, RuntimeError), match="elsewhere" if change == "unexpected" else "transfer_"
    ):
        RoutedUNet.from_pretrained(tmp_path, low_cpu_mem_usage=low_memory)


def test_further_inputs_reach_one_network_and_are_refused_for_several(backbone: Backbone) -> None:
    case, _, unet = routed(backbone)
    mask = torch.zeros(4, case.cond(8).shape[1])
    mask[:, 0] = 1
    more = {"encoder_attention_mask": mask, "attention_mask": None}
    assert not torch.allclose(predict(case, unet, 3, **more), predict(case, unet, 3))
    with pytest.raises(ValueError, match="cannot take encoder_attention_mask"):
        predict(case, unet, **more)


def test_transfer_blocks_are_not_put_on_it(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match="are put on one U-Net; got RoutedUNet"):
        add_transfer_blocks(routed(backbone)[2])


def test_a_routed_backbone_split_again_is_no_component(backbone: Backbone) -> None:
    _, _, unet = routed(backbone)
    nested = Routed(UNetDenoiser(unet), UNetDenoiser(copy.deepcopy(unet)), 300)
    with pytest.raises(ConfigError, match="routed already"):
        nested.component()


@pytest.mark.parametrize(
    "options", [{"block": "identity"}, {"init": "dirac"}, {"init": "dirac", "block": "multi_conv"}]
)
def test_a_pretrained_unet_with_transfers_that_change_nothing_is_the_base_model(
    options: dict[str, Any],
) -> None:
    pocket = Backbone.load("pocket")
    rng = torch.Generator().manual_seed(0)
    x_t, cond = torch.randn(3, 12, 16, 16, generator=rng), torch.randn(3, 32, 128, generator=rng)
    base: Any = copy.deepcopy(pocket.unet)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    with torch.no_grad():
        want = base(x_t, torch.tensor([1, 500, 999]), cond).sample
        unet: Any = add_transfer_blocks(base, ALL, **options)
        got = unet(x_t, torch.tensor([1, 500, 999]), cond).sample
    exact = options.get("block") != "multi_conv"
    assert torch.equal(got, want) == exact  # SiLU follows the convolutions of multi_conv
    after = unet.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
