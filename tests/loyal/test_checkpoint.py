"""Checkpoints in the authors' layout, made here at small size: what is read, and what is refused."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loyal.checkpoint import load_tail
from replication_bench.backbone import Backbone
from replication_bench.testing import tiny_backbone

Command = Callable[..., tuple[int, str, str]]
IMPORT = ("loyal", "import")

SAFE, PICKLE = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"
SC3_SC4 = (2, 3)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("base") / "base")


def numbers(unet: Any, blocks: tuple[int, ...]) -> dict[int, int]:
    """Channels by the number of the skip tensor, in the order in which the encoder pushes them; -1 is conv_in."""
    order = [(-1, unet.conv_in.out_channels)]
    for index, block in enumerate(unet.down_blocks):
        order += [(index, resnet.out_channels) for resnet in block.resnets]
        order += [(index, layer.out_channels) for layer in block.downsamplers or ()]
    return {number: channels for number, (block, channels) in enumerate(order) if block in blocks}


def convolutions(unet: Any, blocks: tuple[int, ...]) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(5)
    state = {}
    for number, channels in numbers(unet, blocks).items():
        state[f"skip_conv_modules.{number}.weight"] = (
            torch.randn(channels, channels, 3, 3, generator=rng) * 0.1
        )
        state[f"skip_conv_modules.{number}.bias"] = torch.randn(channels, generator=rng) * 0.1
    return state


def moved(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {key: value + 0.02 * torch.randn(value.shape, generator=rng) for key, value in state.items()}


def checkpoint(base: Path, to: Path, seed: int, blocks: tuple[int, ...] = (), pickled: bool = False) -> Path:
    """A fine-tuned pipeline as ``train_loyaldiffusion_sd21.py`` saves it; with ``blocks``, of an ``RAUNet``."""
    shutil.copytree(base, to)
    unet = Backbone.load(str(base)).unet
    state = moved(dict(unet.state_dict()), seed) | convolutions(unet, blocks)
    (to / "unet" / SAFE).unlink()
    if pickled:
        torch.save(state, to / "unet" / PICKLE)
    else:
        save_file(state, to / "unet" / SAFE, metadata={"format": "pt"})
    config = json.loads((to / "unet" / "config.json").read_text())
    index = json.loads((to / "model_index.json").read_text())
    if blocks:
        config["_class_name"], index["unet"] = "RAUNet", ["models.rau_unet", "RAUNet"]
    (to / "unet" / "config.json").write_text(json.dumps(config))
    (to / "model_index.json").write_text(json.dumps(index))
    return to


@pytest.fixture
def pair(base: Path, tmp_path: Path) -> tuple[Path, Path]:
    front = checkpoint(base, tmp_path / "checkpoint_front", 1)
    return front, checkpoint(base, tmp_path / "checkpoint_tail", 2, SC3_SC4)


def convolved(tail: Path) -> nn.Module:
    """The tail as the authors' class computes it, where the decoder takes the skips: another way than ours."""
    state = load_file(tail / "unet" / SAFE)
    unet: Any = copy.deepcopy(Backbone.load(str(tail.parent / "checkpoint_front")).unet)
    unet.load_state_dict({k: v for k, v in state.items() if not k.startswith("skip_conv")})
    stop = 1 + max(numbers(unet, (-1, 0, 1, 2, 3)))
    for block in unet.up_blocks:
        start = stop - len(block.resnets)

        def apply(module: Any, args: Any, kwargs: Any, start: int = start) -> Any:
            skips = list(kwargs["res_hidden_states_tuple"])
            for place in range(len(skips)):
                key = f"skip_conv_modules.{start + place}"
                if f"{key}.weight" in state:
                    weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
                    skips[place] = nn.functional.conv2d(skips[place], weight, bias, padding=1)
            return args, {**kwargs, "res_hidden_states_tuple": tuple(skips)}

        block.register_forward_pre_hook(apply, with_kwargs=True)
        stop = start
    return unet


def predict(unet: Any, t: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    x_t, cond = torch.randn(2, 4, 8, 8, generator=rng), torch.randn(2, 5, 32, generator=rng)
    with torch.no_grad():
        prediction: Tensor = unet(x_t, torch.tensor(t), encoder_hidden_states=cond, return_dict=False)[0]
    return prediction


def test_an_imported_pair_predicts_what_the_authors_classes_predict(
    pair: tuple[Path, Path], tmp_path: Path, replbench: Command
) -> None:
    status, out, err = replbench(*IMPORT, *pair, "--to", tmp_path / "to", "--tau", 300)
    assert status == 0, err
    assert "trust_remote_code=True" in out
    loaded = Backbone.load(str(tmp_path / "to")).unet
    front, tail = Backbone.load(str(pair[0])).unet, convolved(pair[1])
    assert not torch.allclose(predict(front, 500), predict(tail, 500), atol=1e-2)
    for t, want in ((0, front), (299, front), (300, tail), (999, tail)):
        torch.testing.assert_close(predict(loaded, t), predict(want, t), rtol=1e-5, atol=1e-5)
    card = (tmp_path / "to" / "README.md").read_text(encoding="utf-8")
    assert "below 300" in card
    assert "SC3, SC4, are the trained ones" in card
    assert str(tmp_path) not in card


def test_an_imported_pair_is_sampled_and_measured(
    pair: tuple[Path, Path], pictures: Path, tmp_path: Path, replbench: Command
) -> None:
    pytest.importorskip("faiss")
    status, _, err = replbench(*IMPORT, *pair, "--to", tmp_path / "to")
    assert status == 0, err
    settings = (
        "sample.steps=2",
        "measure.bootstrap=0",
        "measure.embedder=pixels",
        "methods.wen.iterations=2",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    found = {}
    for name in ("to", "checkpoint_front"):
        status, out, err = replbench(
            *("run", "--from", tmp_path / name, "--dataset", pictures, "--method", "wen", "--samples", 3),
            *(*words, "--json", "--out", tmp_path / f"runs-{name}"),
        )
        assert status == 0, err
        found[name] = {result["method"]["name"]: result for result in json.loads(out)}
    for name in ("none", "wen"):
        result = found["to"][name]
        measured = {m["name"]: m["value"] for m in result["measurements"]}
        assert measured["sim_mean"] is not None
        assert "fine-tuned elsewhere" in result["cost"]["reason"]
        # both networks of the pair are sampled
        assert result["cost"]["parameters"] > found["checkpoint_front"][name]["cost"]["parameters"]
        images = {
            other: (tmp_path / f"runs-{other}" / found[other][name]["id"] / "samples").glob("*.png")
            for other in found
        }
        ours, fronts = ([path.read_bytes() for path in sorted(paths)] for paths in images.values())
        assert len(ours) == 3
        assert ours != fronts


@pytest.mark.parametrize("blocks", [(-1, 0, 1, 2, 3), (0,), (-1,)])
def test_the_keys_tell_which_skips_have_a_convolution(
    base: Path, tmp_path: Path, blocks: tuple[int, ...]
) -> None:
    checkpoint(base, tmp_path / "checkpoint_front", 1)
    tail = checkpoint(base, tmp_path / "checkpoint_tail", 2, blocks)
    unet: Any = load_tail(tail, Backbone.load(str(base)).unet)
    names = ["conv_in", "SC1", "SC2", "SC3", "SC4"]
    assert unet.config["transfer_blocks"]["skips"] == [names[block + 1] for block in blocks]
    torch.testing.assert_close(predict(unet, 700), predict(convolved(tail), 700), rtol=1e-5, atol=1e-5)


def test_torch_files_and_another_base_are_taken(base: Path, tmp_path: Path, replbench: Command) -> None:
    front = checkpoint(base, tmp_path / "front", 1, pickled=True)
    tail = checkpoint(base, tmp_path / "tail", 2, SC3_SC4, pickled=True)
    status, _, err = replbench(
        "loyal", "import", front, tail, "--base", base, "--to", tmp_path / "to", "--precision", "fp16"
    )
    assert status == 0, err
    stored = load_file(tmp_path / "to" / "unet" / SAFE)
    assert {value.dtype for value in stored.values()} == {torch.float16}


def test_a_checkpoint_in_half_precision_is_read_as_float32(pair: tuple[Path, Path], base: Path) -> None:
    changed(pair[1], lambda s: s.update({key: value.half() for key, value in s.items()}))
    tail = load_tail(pair[1], Backbone.load(str(base)).unet)
    assert {parameter.dtype for parameter in tail.parameters()} == {torch.float32}


def test_a_tail_of_the_research_code_gets_new_blocks_where_they_are_asked_for(
    base: Path, tmp_path: Path, replbench: Command
) -> None:
    front, tail = checkpoint(base, tmp_path / "front", 1), checkpoint(base, tmp_path / "tail", 2)
    status, _, err = replbench(*IMPORT, front, tail, "--to", tmp_path / "to")
    assert status == 2
    assert "the tail has no transfer blocks" in err
    assert "--redraw SC3,SC4" in err
    predicted = {}
    for seed, redraw in ((0, "SC3,SC4"), (1, "SC3,SC4"), (0, "none")):
        status, _, err = replbench(
            "loyal", "import", front, tail, "--to", tmp_path / "to", "--redraw", redraw, "--seed", seed
        )
        assert status == 0, err
        predicted[seed, redraw] = predict(Backbone.load(str(tmp_path / "to")).unet, 700)
    plain = predict(Backbone.load(str(tail)).unet, 700)
    torch.testing.assert_close(predicted[0, "none"], plain, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(predicted[0, "SC3,SC4"], plain, atol=1e-3)
    assert not torch.allclose(predicted[0, "SC3,SC4"], predicted[1, "SC3,SC4"], atol=1e-3)


def changed(folder: Path, change: Any) -> None:
    path = folder / "unet" / SAFE
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def widen(state: dict[str, Tensor]) -> None:
    state["conv_in.weight"] = torch.zeros(64, 4, 3, 3)


def refusals() -> Iterator[Any]:
    yield pytest.param(1, widen, "conv_in.weight [64, 4, 3, 3]; want [32, 4, 3, 3]", id="shape")
    yield pytest.param(0, widen, "conv_in.weight [64, 4, 3, 3]; want [32, 4, 3, 3]", id="front")
    yield pytest.param(
        1, lambda s: s.pop("conv_out.bias"), "no conv_out.bias; want conv_out.bias [4]", id="missing"
    )
    yield pytest.param(
        1, lambda s: s.update(extra=torch.zeros(2)), "extra [2]; want no such key", id="unexpected"
    )
    yield pytest.param(
        1, lambda s: s.pop("skip_conv_modules.8.bias"), "no skip_conv_modules.8.bias", id="bias"
    )
    yield pytest.param(
        1,
        lambda s: s.update({"skip_conv_modules.40.weight": torch.zeros(1)}),
        "skip_conv_modules.40.weight",
        id="number",
    )


@pytest.mark.parametrize(("side", "change", "words"), list(refusals()))
def test_another_architecture_is_one_line_with_the_first_key_that_differs(
    pair: tuple[Path, Path],
    base: Path,
    side: int,
    change: Any,
    words: str,
    tmp_path: Path,
    replbench: Command,
) -> None:
    changed(pair[side], change)
    status, out, err = replbench(*IMPORT, *pair, "--base", base, "--to", tmp_path / "to")
    assert status == 2
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "to").exists()


def test_a_skip_with_too_few_convolutions_is_refused(
    pair: tuple[Path, Path], tmp_path: Path, replbench: Command
) -> None:
    last = max(numbers(Backbone.load(str(pair[0])).unet, SC3_SC4))
    changed(pair[1], lambda s: [s.pop(f"skip_conv_modules.{last}.{end}") for end in ("weight", "bias")])
    status, _, err = replbench(*IMPORT, *pair, "--to", tmp_path / "to")
    assert (status, err.count("\n")) == (2, 1)
    assert f"no skip_conv_modules.{last}.weight" in err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--tau", "0"], "tau"),
        (["--tau", "1000"], "the tail is empty"),
        (["--precision", "fp12"], "unknown precision 'fp12'"),
        (["--redraw", "SC3"], "has transfer blocks of its own"),
        (["--base", "nowhere"], "unknown backbone 'nowhere'"),
    ],
)
def test_options_that_cannot_be_meant(
    pair: tuple[Path, Path], more: list[str], words: str, tmp_path: Path, replbench: Command
) -> None:
    status, _, err = replbench(*IMPORT, *pair, "--to", tmp_path / "to", *more)
    assert (status, err.count("\n")) == (2, 1)
    assert words in err


def test_what_is_no_checkpoint_is_refused(
    pair: tuple[Path, Path], base: Path, tmp_path: Path, replbench: Command
) -> None:
    none = tmp_path / "none"
    for given in (
        (none, pair[1], "--base", base),
        (pair[0], none),
        (none, pair[1]),
        (none, pair[1], "--base", "pocket"),
    ):
        status, _, err = replbench("loyal", "import", *given, "--to", tmp_path / "to")
        assert (status, err.count("\n")) == (2, 1)
        assert f"no checkpoint of LoyalDiffusion; in {none}; want" in err
    (pair[1] / "unet" / SAFE).write_bytes(b"no weights")
    status, _, err = replbench(*IMPORT, *pair, "--to", tmp_path / "to")
    assert (status, err.count("\n")) == (2, 1)
    assert "holds no U-Net weights" in err
