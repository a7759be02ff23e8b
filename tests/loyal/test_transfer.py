"""Where the transfer blocks act on a U-Net, how they are trained, saved, copied and redrawn."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from loyal.blocks import SKIPS
from loyal.rau_unet import (
    CONFIG_KEY,
    add_transfer_blocks,
    load_base_weights,
    load_rau_unet,
    redrawn,
    skip_tensors,
    transfer_keys,
)
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.testing.tiny import new_unet

WEIGHTS = "diffusion_pytorch_model.safetensors"


def random_unet(levels: int = 4) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_unet(levels, 32, layers=2).eval()


def on_meta(**options: Any) -> Any:
    with torch.device("meta"):
        return UNet2DConditionModel(**options)


def predict(unet: Any, side: int = 8) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    x_t, cond = torch.randn(2, 4, side, side, generator=rng), torch.randn(2, 5, 32, generator=rng)
    prediction: Tensor = unet(x_t, torch.tensor([10, 900]), cond, return_dict=False)[0]
    return prediction


@pytest.fixture(scope="module")
def base() -> Any:
    return random_unet()


def with_blocks(base: Any, **options: Any) -> Any:
    return add_transfer_blocks(copy.deepcopy(base), **options)


def test_the_twelve_skips_of_stable_diffusion_by_name_and_consumer() -> None:
    tensors = skip_tensors(on_meta(block_out_channels=(320, 640, 1280, 1280)))
    names = ["conv_in", *["SC1"] * 3, *["SC2"] * 3, *["SC3"] * 3, *["SC4"] * 2]
    assert [tensor.name for tensor in tensors] == names
    assert [tensor.up for tensor in tensors] == [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert [tensor.position for tensor in tensors] == [0, 1, 2] * 4
    assert [tensor.incoming for tensor in tensors[::3]] == [640, 1280, 1280, 1280]


@pytest.mark.parametrize("options", [{"block": "identity"}, {"init": "dirac"}, {"init": "zero_residual"}])
def test_on_all_skips_what_changes_nothing_gives_the_base_exactly(base: Any, options: dict[str, Any]) -> None:
    assert torch.equal(predict(with_blocks(base, skips=SKIPS, **options)), predict(base))


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("block", ["conv3x3", "max_unpool", "no_skip"])
def test_every_skip_reaches_the_prediction(base: Any, skip: str, block: str) -> None:
    # latents of 16 x 16: max_unpool changes nothing on a skip of 1 x 1
    unet = with_blocks(base, skips=skip, block=block)
    assert not torch.allclose(predict(unet, side=16), predict(base, side=16))


def test_odd_latents_keep_their_size(base: Any) -> None:
    for block in ("conv3x3", "max_unpool", "no_skip"):
        assert predict(with_blocks(base, skips=SKIPS, block=block), side=13).shape == (2, 4, 13, 13)


def entering(unet: Any, block: Any) -> dict[str, Any]:
    """The keyword arguments that ``block`` of ``unet`` runs with, earlier hooks applied."""
    seen: list[dict[str, Any]] = []
    handle = block.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True
    )
    predict(unet)
    handle.remove()
    return seen[0]


def test_the_main_path_is_untouched(base: Any) -> None:
    # the first up block's input is the mid block's output, which saw nothing but the main path
    before, after = (
        entering(unet, unet.up_blocks[0])["hidden_states"] for unet in (base, with_blocks(base, skips=SKIPS))
    )
    assert torch.equal(before, after)


def test_the_transform_is_the_block_on_the_chosen_tensors(base: Any) -> None:
    unet, removed = with_blocks(base, skips="SC3"), with_blocks(base, skips="SC3", block="no_skip")
    inputs = [entering(network, network.up_blocks[1]) for network in (base, unet, removed)]
    before, after, without = (kwargs["res_hidden_states_tuple"] for kwargs in inputs)
    blocks = unet.down_blocks[2].transfer_blocks
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], blocks[0](before[1]))
    assert torch.equal(after[2], blocks[1](before[2]))
    assert torch.equal(without[1], inputs[2]["hidden_states"])
    assert torch.equal(without[2], inputs[2]["hidden_states"])


def test_conv_in_is_transformed_where_it_is_consumed(base: Any) -> None:
    unet = with_blocks(base, skips="conv_in")
    before, after = (
        entering(network, network.up_blocks[3])["res_hidden_states_tuple"] for network in (base, unet)
    )
    assert torch.equal(after[0], unet.up_blocks[3].transfer_blocks[0](before[0]))
    assert torch.equal(after[1], before[1])


def test_no_skip_is_refused_where_the_decoder_has_too_few_channels() -> None:
    unet = on_meta(
        block_out_channels=(64, 32), down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2
    )
    with pytest.raises(ConfigError, match="no_skip cannot replace SC1"):
        add_transfer_blocks(unet, "SC1", block="no_skip")


def test_a_skip_that_the_unet_lacks_is_refused_and_nothing_is_added() -> None:
    unet = random_unet(levels=3)
    keys = set(unet.state_dict())
    with pytest.raises(ConfigError, match="no skip connection SC4; want conv_in, SC1, SC2, SC3"):
        add_transfer_blocks(unet)
    assert set(unet.state_dict()) == keys
    assert CONFIG_KEY not in unet.config


def test_unknown_names_are_refused_with_a_suggestion(base: Any) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'conv3x3'"):
        with_blocks(base, block="conv3")


def test_blocks_are_added_once(base: Any) -> None:
    with pytest.raises(ConfigError, match="already has transfer blocks"):
        add_transfer_blocks(with_blocks(base))


def test_weights_follow_the_seed_and_not_the_other_skips(base: Any) -> None:
    key = "down_blocks.3.transfer_blocks.0.weight"
    first, again, other = (with_blocks(base, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])
    assert torch.equal(with_blocks(base, skips="SC4", seed=3).state_dict()[key], first[key])
    assert not torch.equal(first[key], first[key.replace("blocks.0", "blocks.1")])


@pytest.mark.parametrize("options", [{"skips": SKIPS}, {"block": "no_skip"}])
def test_a_deep_copy_is_independent(base: Any, options: dict[str, Any]) -> None:
    unet = with_blocks(base, **options)
    before, twin = predict(unet), copy.deepcopy(unet)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.zero_()
    assert torch.equal(predict(twin), before)


def test_a_deep_copy_runs_its_own_blocks(base: Any) -> None:
    unet = with_blocks(base, skips=SKIPS)
    twin = copy.deepcopy(unet)
    with torch.no_grad():
        for key in transfer_keys(twin):
            twin.get_parameter(key).zero_()
    assert not torch.allclose(predict(twin), predict(unet))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_transfer_parameters_receive_gradients(base: Any, checkpointing: bool) -> None:
    unet = with_blocks(base, skips=SKIPS).train()
    if checkpointing:
        unet.enable_gradient_checkpointing()
    torch.autograd.backward(predict(unet).square().mean())
    assert len(transfer_keys(unet)) == 24
    for key in transfer_keys(unet):
        gradient = unet.get_parameter(key).grad
        assert gradient is not None, key
        assert gradient.any(), key


def test_frozen_blocks_are_registered_and_take_no_gradient(base: Any) -> None:
    unet = with_blocks(base, trainable=False)
    frozen = {name for name, parameter in unet.named_parameters() if not parameter.requires_grad}
    assert frozen == transfer_keys(unet) != set()


@pytest.mark.parametrize(
    "options",
    [
        {"skips": SKIPS, "block": "multi_conv", "convs": 2, "init": "zero_residual", "trainable": False},
        {"block": "no_skip"},
        {"block": "max_unpool", "skips": ["conv_in"]},
    ],
)
def test_saved_and_loaded_it_is_the_same(base: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    unet = with_blocks(base, seed=5, **options)
    unet.save_pretrained(tmp_path)
    loaded: Any = load_rau_unet(tmp_path)
    assert torch.equal(predict(loaded), predict(unet))
    assert dict(loaded.config[CONFIG_KEY]) == dict(unet.config[CONFIG_KEY])
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in unet.parameters()]


def test_loading_keeps_the_stored_dtype(base: Any, tmp_path: Path) -> None:
    with_blocks(base).half().save_pretrained(tmp_path)
    assert next(load_rau_unet(tmp_path).parameters()).dtype == torch.float16


def test_loading_is_strict(base: Any, tmp_path: Path) -> None:
    with_blocks(base).save_pretrained(tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    del state["down_blocks.3.transfer_blocks.0.weight"]
    save_file(state, tmp_path / WEIGHTS)
    with pytest.raises(WeightsError, match="do not fit") as caught:
        load_rau_unet(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_rau_unet_is_refused(base: Any, tmp_path: Path) -> None:
    base.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="not the config"):
        load_rau_unet(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_rau_unet(tmp_path / "nowhere")


def test_options_of_another_version_are_refused(base: Any, tmp_path: Path) -> None:
    with_blocks(base).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config[CONFIG_KEY]["colour"] = "red"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="colour"):
        load_rau_unet(tmp_path)


def test_base_weights_miss_exactly_the_transfer_blocks(base: Any) -> None:
    unet = add_transfer_blocks(random_unet(), init="dirac")
    with torch.no_grad():
        unet.conv_in.weight.zero_()
    load_base_weights(unet, base.state_dict())
    assert torch.equal(predict(unet), predict(base))


@pytest.mark.parametrize("change", ["missing", "unexpected", "transfer"])
def test_base_weights_with_other_keys_are_refused(base: Any, change: str) -> None:
    unet, state = add_transfer_blocks(random_unet()), dict(base.state_dict())
    if change == "missing":
        del state["conv_in.weight"]
    else:
        key = {"unexpected": "elsewhere.weight", "transfer": "down_blocks.3.transfer_blocks.0.weight"}[change]
        state[key] = torch.zeros(32, 32, 3, 3)
    with pytest.raises(WeightsError, match="plain U-Net; got 1 keys"):
        load_base_weights(unet, state)


def test_redrawn_shares_all_but_the_transfer_weights(base: Any) -> None:
    unet = with_blocks(base, trainable=False)
    before, twin = predict(unet), redrawn(unet, 9)
    ours, theirs = dict(unet.named_parameters()), dict(twin.named_parameters())
    assert {key for key in ours if ours[key] is not theirs[key]} == transfer_keys(unet)
    assert torch.equal(predict(unet), before)
    assert not torch.allclose(predict(twin), before)
    assert torch.equal(predict(twin), predict(redrawn(unet, 9)))
    assert not torch.allclose(predict(redrawn(unet, 10)), predict(twin))
