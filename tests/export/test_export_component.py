"""What becomes of a denoiser: a plain model, one with its code, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from loyal.method import Loyal
from replication_bench import plugins
from replication_bench.backbone import Backbone
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.export.component import Component, component_of, fused
from replication_bench.export.folder import Contents, write_export
from replication_bench.method import Method
from replication_bench.testing import Case, load_backbone


@pytest.fixture
def backbone(tiny: Path) -> Backbone:
    return load_backbone(tiny)


class Silent(nn.Module):
    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        return x_t


class OfNobody(nn.Module):
    pass


class Foreign(UNetDenoiser):
    def component(self) -> nn.Module:
        return OfNobody()


def test_a_denoiser_that_says_nothing_cannot_be_exported() -> None:
    with pytest.raises(ConfigError, match=r"'quiet' cannot be exported; got a Silent without component\(\)"):
        component_of(Silent(), "quiet")


def test_a_class_behind_no_door_cannot_be_exported(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match="'strange' cannot be exported; got a component of class OfNobody"):
        component_of(Foreign(backbone.unet), "strange")


def test_hooks_that_a_stock_class_would_lose_are_refused(backbone: Backbone) -> None:
    case = Case(Loyal(split=False), backbone)
    (network,) = case.networks()
    with pytest.raises(ConfigError, match=r"a UNet2DConditionModel with a hook on down_blocks\.2"):
        component_of(UNetDenoiser(network), "loyal")
    assert component_of(case.denoiser([network]), "loyal").kind == "RoutedUNet"


def test_adapters_are_added_to_the_weights_they_adapt(backbone: Backbone) -> None:
    pytest.importorskip("peft")
    from baselines.lora import Lora

    case = Case(Lora(), backbone)
    (network,) = case.networks()
    before = case.predict(UNetDenoiser(network))
    plain: Any = fused(network)
    assert set(plain.state_dict()) == set(backbone.unet.state_dict())
    torch.testing.assert_close(case.predict(UNetDenoiser(plain)), before, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, case.predict(UNetDenoiser(backbone.unet)), atol=1e-3)


class Forgetful(UNet2DConditionModel):
    """Predicts with a factor that no file holds."""

    factor = 1.0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        (prediction,) = super().forward(*args, **kwargs)
        return (prediction * self.factor,)


def contents(backbone: Backbone, model: Any) -> Contents:
    return Contents(backbone, Component(model), backbone.scheduler, "fp32", {}, str)


def test_a_component_that_loads_as_something_else_is_not_handed_out(
    backbone: Backbone, tmp_path: Path
) -> None:
    (network,) = Case(Method(), backbone).networks()
    model: Any = Forgetful.from_config(backbone.unet.config)
    model.load_state_dict(network.state_dict())
    write_export(tmp_path / "to", contents(backbone, model))
    model.factor = 1.5
    with pytest.raises(WeightsError, match="predicts something else than the trained one"):
        write_export(tmp_path / "other", contents(backbone, model))
    model.factor, model.extra = 1.0, nn.Parameter(torch.zeros(2))
    with pytest.raises(WeightsError, match="other weights than the trained one"):
        write_export(tmp_path / "other", replace(contents(backbone, model)))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", sorted(plugins.available("methods")))
def test_every_method_here_becomes_a_component_that_predicts_the_same(backbone: Backbone, name: str) -> None:
    case = Case(method_of(name), backbone)
    networks = case.networks()
    before = case.predict(case.denoiser(networks))
    component = component_of(case.denoiser([fused(network) for network in networks]), name)
    assert (component.source is not None) == (name in ("loyal", "dual"))
    with torch.no_grad():
        after = component.model(case.noise(7), case.border_timesteps(), case.cond(8)).sample
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def method_of(name: str) -> Method:
    for module, _ in plugins.load("methods", name).needs:
        pytest.importorskip(module)
    method: Method = plugins.construct("methods", name, {})
    return method
