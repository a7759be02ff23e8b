from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from loyal.method import Dual, Loyal
from loyal.rau_unet import CONFIG_KEY, transfer_keys
from loyal.routing import Routed
from replication_bench.config import TrainConfig
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError
from replication_bench.method import HOOKS, Context, Stage
from replication_bench.plugins import load
from replication_bench.seeds import Seeds
from replication_bench.testing import load_backbone, tiny_backbone

T = 1000
FROZEN = {"trainable": False, "redraw": True}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder: Path = tmp_path_factory.mktemp("backbone")
    return load_backbone(tiny_backbone(folder))


def networks(method: Loyal | Dual, backbone: Any) -> list[Any]:
    return [method.build(backbone, stage) for stage in method.stages(T)]


def predict(denoiser: Any, t: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        prediction: torch.Tensor = denoiser(
            torch.randn(1, 4, 8, 8, generator=rng), torch.tensor([t]), torch.randn(1, 5, 32, generator=rng)
        )
    return prediction


@pytest.mark.parametrize(("name", "method"), [("loyal", Loyal), ("dual", Dual)])
def test_both_methods_stand_behind_their_doors(name: str, method: type) -> None:
    assert load("methods", name) is method


@pytest.mark.parametrize("method", [Loyal(tau=300), Dual(tau=300)])
def test_the_stages_split_at_tau(method: Loyal | Dual) -> None:
    assert method.stages(T) == (Stage("front", 0, 300), Stage("tail", 300, T))


def test_a_single_network_has_one_stage(backbone: Any) -> None:
    method = Loyal(split=False, tau=2000)
    assert method.stages(T) == (Stage("all", 0, T),)
    modules = networks(method, backbone)
    assert transfer_keys(modules[0])
    assert isinstance(method.denoiser(modules), UNetDenoiser)


@pytest.mark.parametrize(
    ("side", "expected"), [("tail", [False, True]), ("front", [True, False]), ("both", [True, True])]
)
def test_the_side_chooses_the_networks_with_blocks(backbone: Any, side: str, expected: list[bool]) -> None:
    assert [bool(transfer_keys(unet)) for unet in networks(Loyal(side=side), backbone)] == expected


def test_the_control_has_no_blocks(backbone: Any) -> None:
    assert not any(transfer_keys(unet) for unet in networks(Dual(), backbone))


def test_the_default_is_the_published_choice(backbone: Any) -> None:
    front, tail = networks(Loyal(), backbone)
    assert CONFIG_KEY not in front.config
    options = dict(tail.config[CONFIG_KEY])
    del options["seed"]
    assert options == {
        "skips": ["SC3", "SC4"],
        "block": "conv3x3",
        "init": "default",
        "trainable": True,
        "convs": 1,
    }
    assert len(transfer_keys(tail)) == 2 * 5


def test_the_backbone_keeps_its_unet(backbone: Any) -> None:
    networks(Loyal(side="both"), backbone)
    assert CONFIG_KEY not in backbone.unet.config
    assert not transfer_keys(backbone.unet)


def test_the_denoiser_routes_at_tau(backbone: Any) -> None:
    method = Loyal(tau=300)
    front, tail = networks(method, backbone)
    denoiser = method.denoiser([front, tail])
    assert isinstance(denoiser, Routed)
    assert torch.equal(predict(denoiser, 299), predict(UNetDenoiser(front), 299))
    assert torch.equal(predict(denoiser, 300), predict(UNetDenoiser(tail), 300))


@pytest.mark.parametrize("trainable", [True, False])
def test_the_optimiser_holds_exactly_the_trained_weights(backbone: Any, trainable: bool) -> None:
    method = Loyal(trainable=trainable)
    unet: Any = networks(method, backbone)[1]
    optimiser = method.optimiser(unet, Context(backbone, TrainConfig()))
    held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    blocks = {id(unet.get_parameter(key)) for key in transfer_keys(unet)}
    assert blocks <= held if trainable else not blocks & held
    assert held | blocks == {id(parameter) for parameter in unet.parameters()}


def built(method: Loyal, backbone: Any, stage: Stage, seed: int) -> Any:
    with Seeds(seed).ambient("build", stage.name):
        return method.build(backbone, stage)


def denoiser_of(method: Loyal, modules: list[Any], seed: int) -> Any:
    with Seeds(seed).ambient("denoiser"):
        return method.denoiser(modules)


def test_initial_weights_follow_the_seed_and_differ_between_the_sides(backbone: Any) -> None:
    key = "down_blocks.3.transfer_blocks.0.weight"
    front, tail, again, other = (
        built(Loyal(side="both"), backbone, stage, seed).state_dict()[key]
        for seed, stage in ((0, Stage("front", 0, 500)), *((s, Stage("tail", 500, T)) for s in (0, 0, 1)))
    )
    assert torch.equal(tail, again)
    assert not torch.equal(tail, other)
    assert not torch.equal(tail, front)


def test_redraw_samples_with_other_weights_and_leaves_the_trained_ones(backbone: Any) -> None:
    method = Loyal(**FROZEN)
    modules = networks(method, backbone)
    trained = predict(UNetDenoiser(modules[1]), 700)
    sampled, again, other = (predict(denoiser_of(method, modules, seed), 700) for seed in (0, 0, 1))
    assert not torch.allclose(sampled, trained)
    assert torch.equal(again, sampled)
    assert not torch.allclose(other, sampled)
    assert torch.equal(predict(UNetDenoiser(modules[1]), 700), trained)
    assert torch.equal(predict(method.denoiser(modules), 3), predict(UNetDenoiser(modules[0]), 3))


def test_without_redraw_the_frozen_weights_are_sampled(backbone: Any) -> None:
    method = Loyal(trainable=False)
    modules = networks(method, backbone)
    assert torch.equal(predict(method.denoiser(modules), 700), predict(UNetDenoiser(modules[1]), 700))


@pytest.mark.parametrize("skips", ["SC4, SC3", ["SC3", "SC4"], ("SC3", "SC4")])
def test_skips_come_as_text_list_or_tuple(skips: Any) -> None:
    method = Loyal(skips=skips)
    assert method == Loyal()
    assert hash(method) == hash(Loyal())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0}, "tau"),
        ({"tau": 500.0}, "tau"),
        ({"tau": True}, "tau"),
        ({"tau": "500"}, "tau"),
        ({"skips": "SC5"}, "unknown skip connection 'SC5'"),
        ({"skips": ""}, "no skip connections"),
        ({"block": "conv3"}, "Did you mean 'conv3x3'"),
        ({"init": "zero"}, "unknown initialisation"),
        ({"side": "tial"}, "Did you mean 'tail'"),
        ({"split": "no"}, "split"),
        ({"redraw": 1}, "redraw"),
        ({"split": False, "side": "front"}, "no sides"),
        ({"redraw": True}, "frozen random"),
        ({**FROZEN, "init": "dirac"}, "frozen random"),
        ({**FROZEN, "block": "max_unpool"}, "frozen random"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Loyal(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [Loyal(tau=T), Dual(tau=T + 1)])
def test_a_tail_without_timesteps_is_refused(method: Loyal | Dual) -> None:
    key = f"methods.{type(method).__name__.lower()}.tau"
    with pytest.raises(ConfigError, match=f"tail is empty; in {key}; got"):
        method.stages(T)


def test_no_option_is_named_like_a_hook() -> None:
    assert not {field.name for field in dataclasses.fields(Loyal)} & set(HOOKS)


def test_the_published_number_carries_its_protocol() -> None:
    (claim,) = Loyal.reported
    assert (claim.value, claim.unit) == (48.63, "%")
    assert claim.protocol == "SD 2.1, LAION, other protocol"
    assert claim.source == "arXiv 2412.01118 abstract"
    assert Dual.reported == ()
    assert Dual.paper == ""
