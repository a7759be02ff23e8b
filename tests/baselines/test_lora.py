from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.lora import ATTENTION, Lora
from replication_bench.backbone import Backbone
from replication_bench.errors import ConfigError, PluginError
from replication_bench.method import Context, Method, Stage
from replication_bench.resolve import build_method
from replication_bench.seeds import Seeds
from replication_bench.testing.case import generator

pytest.importorskip("peft")
ALL = Stage("all", 0, 1000)


def build(method: Method, backbone: Backbone, seed: int = 0) -> Any:
    with Seeds(seed).ambient("build", "all"):
        return method.build(backbone, ALL)


def arguments(backbone: Backbone) -> tuple[Tensor, Tensor, Tensor]:
    shape = (2, *backbone.latent_shape)
    return (
        torch.randn(shape, generator=generator(1)),
        torch.tensor([3, 700]),
        backbone.encode_text(["a", "b"]),
    )


def predict(network: nn.Module, backbone: Backbone) -> Tensor:
    x_t, t, cond = arguments(backbone)
    with torch.no_grad():
        prediction: Tensor = network(x_t, t, encoder_hidden_states=cond, return_dict=False)[0]
    return prediction


def targets(backbone: Backbone, names: tuple[str, ...]) -> dict[str, nn.Linear]:
    return {
        name: module
        for name, module in backbone.unet.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(tuple(f".{target}" for target in names))
    }


@pytest.mark.parametrize(("rank", "names"), [(1, ATTENTION), (4, ATTENTION), (3, ("to_k", "to_v"))])
def test_the_trained_parameters_are_rank_times_the_sides_of_each_target(
    rank: int, names: tuple[str, ...], backbone: Backbone
) -> None:
    network = build(Lora(rank=rank, targets=names), backbone)
    layers = targets(backbone, names)
    assert len(layers) >= 2 * len(names)
    want = sum(rank * (layer.in_features + layer.out_features) for layer in layers.values())
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == want


def test_before_training_the_adapters_change_nothing(backbone: Backbone) -> None:
    assert torch.equal(predict(build(Lora(), backbone), backbone), predict(backbone.unet, backbone))


@pytest.mark.parametrize("rank", [2, 8])
def test_the_first_factor_is_drawn_from_a_gaussian(rank: int, backbone: Backbone) -> None:
    network = build(Lora(rank=rank), backbone)
    drawn = torch.cat([p.flatten() for name, p in network.named_parameters() if "lora_A" in name]) * rank
    n = len(drawn)
    assert abs(float(drawn.std()) - 1) < 5 / (2 * n) ** 0.5
    assert abs(float(drawn.pow(4).mean()) - 3) < 5 * (96 / n) ** 0.5  # of a uniform draw 1.8


def test_an_adapted_layer_adds_the_scaled_low_rank_product(backbone: Backbone) -> None:
    network = build(Lora(rank=2, alpha=6.0), backbone)
    name = next(iter(targets(backbone, ("to_q",))))
    layer = network.get_submodule(name)
    a, b = (layer.get_submodule(f"lora_{side}.default").weight for side in "AB")
    assert not b.any()
    with torch.no_grad():
        b.normal_(generator=generator())
        x = torch.randn(3, a.shape[1], generator=generator(1))
        base = backbone.unet.get_submodule(name)(x)
        assert torch.allclose(layer(x), base + 3.0 * (x @ a.T @ b.T), atol=1e-5)


def test_the_run_s_seed_draws_the_adapters(backbone: Backbone) -> None:
    first, again, other = (build(Lora(), backbone, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    moved = {name for name in first if not torch.equal(first[name], other[name])}
    assert moved
    assert all("lora_A" in name for name in moved)


def test_only_the_adapters_are_trained_and_the_weights_load_strictly(train: Any, ctx: Context) -> None:
    weights = train(Lora(rank=2))
    network = build(Lora(rank=2), ctx.backbone, seed=5)
    start = build(Lora(rank=2), ctx.backbone).state_dict()
    network.load_state_dict(weights, strict=True)
    moved = {name for name in weights if not torch.equal(weights[name], start[name])}
    assert any("lora_B" in name for name in moved)
    assert all("lora_" in name for name in moved)
    base = ctx.backbone.unet.state_dict()
    frozen = {
        name.replace(".base_layer", ""): value for name, value in weights.items() if "lora_" not in name
    }
    assert frozen.keys() == base.keys()
    assert all(torch.equal(frozen[name], base[name]) for name in base)
    assert not torch.equal(predict(network, ctx.backbone), predict(ctx.backbone.unet, ctx.backbone))
    with pytest.raises(RuntimeError, match="Missing key"):
        network.load_state_dict({k: v for k, v in weights.items() if "lora_A" not in k}, strict=True)


def test_the_backbone_is_left_alone(backbone: Backbone) -> None:
    names = list(backbone.unet.state_dict())
    build(Lora(), backbone)
    assert list(backbone.unet.state_dict()) == names
    assert not any(p.requires_grad for p in backbone.unet.parameters())


def test_targets_are_a_sequence_or_a_text() -> None:
    assert Lora(targets="to_q, to_k") == Lora(targets=["to_q", "to_k"]) == Lora(targets=("to_q", "to_k"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "words"),
    [("to_z", "no such layer"), ("_q", "no such layer"), ("norm1", "cannot be adapted.*norm1, a")],
)
def test_targets_that_the_network_has_not_are_named(target: str, words: str, backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match=words):
        build(Lora(targets=(target,)), backbone)


def test_without_peft_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, backbone: Backbone) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    for refused in (lambda: build_method("lora", {}), lambda: build(Lora(), backbone)):
        with pytest.raises(PluginError, match=r"'peft' is missing.*pip install 'replbench\[lora\]'"):
            refused()
