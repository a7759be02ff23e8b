"""Weights in a folder that are not those of its configuration."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file, save_file

from replication_bench.backbone import Backbone
from replication_bench.errors import WeightsError
from replication_bench.pretrained.fit import check_weights, weight_files
from replication_bench.pretrained.folder import check_schedule
from replication_bench.pretrained.made import random_parts
from replication_bench.testing import tiny_backbone


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a small backbone, a wider and a deeper one."""
    folder = tmp_path_factory.mktemp("made")
    for name, sizes in {"small": {}, "wide": {"channels": 32}, "deep": {"levels": 3}}.items():
        tiny_backbone(folder / name, **{"levels": 2, "channels": 16, **sizes})
    return folder


def mixed(made: Path, folder: Path, weights: str, config: str) -> Path:
    """The U-Net's weights of one pipeline beside the configuration of another."""
    shutil.copytree(made / weights, folder)
    shutil.copy(made / config / "unet" / "config.json", folder / "unet")
    return folder


@pytest.mark.parametrize(
    ("weights", "config", "got", "want"),
    [
        (
            *("small", "wide", "conv_in.weight [16, 4, 3, 3], conv_in.bias [16] and "),
            "conv_in.weight [32, 4, 3, 3], conv_in.bias [32]. Give",
        ),
        ("small", "deep", "no down_blocks.1.attentions.0.", "down_blocks.1.attentions.0."),
        ("deep", "small", "down_blocks.1.attentions.0.", "no down_blocks.1.attentions.0."),
    ],
)
def test_a_u_net_of_another_size_is_one_short_line(
    made: Path, tmp_path: Path, weights: str, config: str, got: str, want: str
) -> None:
    folder = mixed(made, tmp_path / "mixed", weights, config)
    with pytest.raises(WeightsError) as caught:
        Backbone.load(str(folder))
    line = str(caught.value)
    assert f"in {folder}/unet; got {got}" in line
    assert f"; want {want}" in line
    assert len(line) < len(str(folder)) + 500


def changed(folder: Path, **values: Any) -> None:
    """Change a part's configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"num_hidden_layers": 9}, "got no encoder.layers"),
        ({"vocab_size": 9}, "; want .*token_embedding.weight .9,"),
    ],
)
def test_a_text_encoder_is_not_filled_up_at_random(
    made: Path, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    folder = Path(shutil.copytree(made / "small", tmp_path / "mixed"))
    changed(folder / "text_encoder", **values)
    with pytest.raises(WeightsError, match=words):
        Backbone.load(str(folder))


@pytest.mark.parametrize("left", [(), ("tokenizer_config.json",)], ids=["nothing", "the configuration"])
def test_a_tokenizer_without_its_words_is_refused(made: Path, tmp_path: Path, left: tuple[str, ...]) -> None:
    """It would be loaded as one of two tokens, and all captions would be alike."""
    folder = Path(shutil.copytree(made / "small", tmp_path / "wordless"))
    for path in (folder / "tokenizer").iterdir():
        if path.name not in left:
            path.unlink()
    with pytest.raises(WeightsError, match=r"tokenizer does not fit .*; got 2 tokens; want .* for \d+\. Is"):
        Backbone.load(str(folder))


def test_a_tokenizer_of_longer_texts_is_refused(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made / "small", tmp_path / "long"))
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 99}))
    with pytest.raises(WeightsError, match="got texts of 99 tokens; want at most 16"):
        Backbone.load(str(folder))


def test_a_network_that_predicts_something_else_is_refused(made: Path, tmp_path: Path) -> None:
    """Its predictions would be taken for noise."""
    folder = Path(shutil.copytree(made / "small", tmp_path / "clean"))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))
    with pytest.raises(WeightsError, match="got DDPMScheduler, prediction_type sample; want epsilon or"):
        Backbone.load(str(folder))


def test_a_flow_is_refused() -> None:
    with pytest.raises(WeightsError, match="got FlowMatchEulerDiscreteScheduler, prediction_type None"):
        check_schedule(FlowMatchEulerDiscreteScheduler(), "folder")


def renamed(path: Path, rename: Callable[[str], str]) -> None:
    """Give every tensor of a file another name."""
    save_file({rename(name): value for name, value in load_file(path).items()}, path, {"format": "pt"})


def test_the_names_of_older_files_fit(made: Path, tmp_path: Path) -> None:
    text = Path(shutil.copytree(made / "small" / "text_encoder", tmp_path / "text_encoder"))
    state = {
        f"text_model.{name}".replace("text_model.text_model", "text_model"): value
        for name, value in load_file(text / "model.safetensors").items()
    }
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, text / "model.safetensors", {"format": "pt"})
    check_weights(tmp_path, {"text_encoder": ["transformers", "CLIPTextModel"]}, "text_encoder", None)
    vae = tmp_path / "vae"
    network = random_parts("sd15-mini")["vae"]
    network.save_pretrained(vae)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def before(name: str) -> str:
        for new, word in old.items():
            name = name.replace(f".{new}.", f".{word}.")
        return name

    renamed(vae / "diffusion_pytorch_model.safetensors", before)
    assert any(".query." in name for name in load_file(vae / "diffusion_pytorch_model.safetensors"))
    check_weights(tmp_path, {"vae": ["diffusers", "AutoencoderKL"]}, "vae", None)
    loaded = AutoencoderKL.from_pretrained(vae).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in network.state_dict().items())
    changed(vae, layers_per_block=3)
    with pytest.raises(WeightsError, match="not those of the configuration"):
        check_weights(tmp_path, {"vae": ["diffusers", "AutoencoderKL"]}, "vae", None)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_tensors_under_names_that_no_library_gave_are_refused(made: Path, tmp_path: Path, part: str) -> None:
    """Of all sizes that the configuration asks for: a library would draw them at random or leave them without data."""
    folder = Path(shutil.copytree(made / "small", tmp_path / "renamed"))
    (path,) = (folder / part).glob("*.safetensors")
    first = sorted(load_file(path))[0]
    renamed(path, lambda name: f"x.{name}" if name == first else name)
    with pytest.raises(WeightsError, match=rf"in .*/{part}; got no {re.escape(first)}.*; want .*no x\."):
        Backbone.load(str(folder))


def test_the_files_of_a_variant_are_found_in_one_or_in_shards(tmp_path: Path) -> None:
    def names(variant: str | None) -> list[str]:
        return [path.name for path in weight_files(tmp_path, "model", variant)]

    assert names(None) == []
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").touch()
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert names(None) == names("fp16") == shards
    for name in ("model.safetensors", "model.fp16.safetensors"):
        (tmp_path / name).touch()
    assert names(None) == ["model.safetensors"]
    assert names("fp16") == ["model.fp16.safetensors"]
