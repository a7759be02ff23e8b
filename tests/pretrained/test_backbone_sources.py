from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from original_layout import write_original
from safetensors.torch import load_file, save_file

from replication_bench.backbone import Backbone
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.pretrained.made import random_parts
from replication_bench.pretrained.shapes import SHAPES
from replication_bench.pretrained.tokenizer import VOCABULARY, clip_tokenizer

MINI = "random:sd21-mini"
TEXTS = [
    "a red Circle, isn't it?",
    "été 😀 naïve  double   space",
    "123 million-dollar  <b>x</b>",
    "word " * 90,
]


@pytest.fixture(scope="module")
def parts() -> dict[str, dict[str, Any]]:
    return {shape: random_parts(shape) for shape in ("sd21-mini", "sd15-mini")}


def weights(found: Any) -> dict[str, torch.Tensor]:
    get = found.get if isinstance(found, dict) else lambda name: getattr(found, name)
    return {
        f"{part}.{name}": value
        for part in ("vae", "text_encoder", "unet")
        for name, value in get(part).state_dict().items()
    }


def save_pipeline(
    parts: dict[str, Any], folder: Path, dtype: torch.dtype = torch.float32, **how: Any
) -> Path:
    from diffusers import StableDiffusionPipeline

    parts = {
        name: part.to(dtype) if isinstance(part, torch.nn.Module) else part for name, part in parts.items()
    }
    more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    StableDiffusionPipeline(**parts, **more).save_pretrained(folder, **how)
    return folder


def test_random_weights_are_always_the_same_and_work(parts: dict[str, Any]) -> None:
    backbone = Backbone.load(MINI)
    again = weights(parts["sd21-mini"])
    assert all(torch.equal(value, again[name]) for name, value in weights(backbone).items())
    assert (backbone.pixels, backbone.latent_shape, backbone.num_timesteps) == (64, (4, 8, 8), 1000)
    assert backbone.scheduler.config.prediction_type == "v_prediction"
    latents = backbone.encode_images(torch.zeros(2, 3, 64, 64))
    states = backbone.encode_text(["a", "b c"])
    assert states.shape == (2, 77, 64)
    assert not torch.equal(states[0], states[1])
    prediction = backbone.unet(latents, torch.tensor([3, 700]), states).sample
    assert backbone.decode_latents(prediction).shape == (2, 3, 64, 64)


def test_a_mini_has_the_classes_levels_and_skips_of_its_original() -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        full = UNet2DConditionModel(**SHAPES["sd21"].unet)
    narrow = Backbone.load(MINI).unet
    assert [type(m) for m in narrow.modules()] == [type(m) for m in full.modules()]
    assert sum(p.numel() for p in full.parameters()) == 865_910_724  # as published for SD 2.1


@pytest.mark.parametrize("name", ["sd15", "sd21"])
def test_the_text_encoders_have_their_published_sizes(name: str) -> None:
    from transformers import CLIPTextModel

    from replication_bench.pretrained.made import text_config

    with torch.device("meta"):
        encoder = CLIPTextModel(text_config(SHAPES[name], clip_tokenizer()))
    assert sum(p.numel() for p in encoder.parameters()) == {"sd15": 123_060_480, "sd21": 340_387_840}[name]


def test_clips_tokenizer_out_of_the_package_is_open_clips() -> None:
    open_clip = pytest.importorskip("open_clip")
    ours = clip_tokenizer("!")
    found = ours(TEXTS, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert len(ours) == VOCABULARY
    assert torch.equal(found, open_clip.get_tokenizer("ViT-B-32")(TEXTS))


@pytest.mark.parametrize("shape", ["sd21-mini", "sd15-mini"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_single_file_gives_the_same_networks(
    shape: str, dtype: torch.dtype, parts: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("open_clip")
    path = write_original(parts[shape], tmp_path / "model.safetensors", dtype)
    backbone = Backbone.load(f"{path}@{shape}")
    want = {name: value.to(dtype).float() for name, value in weights(parts[shape]).items()}
    found = weights(backbone)
    assert found.keys() == want.keys()
    assert all(torch.equal(found[name], value) for name, value in want.items())
    assert {value.dtype for value in found.values() if value.is_floating_point()} == {torch.float32}
    assert backbone.scheduler.config.prediction_type == ("v_prediction" if "21" in shape else "epsilon")


@pytest.mark.parametrize(("dtype", "variant"), [(torch.float16, "fp16"), (torch.bfloat16, None)])
def test_folders_of_half_precision_load_in_full(
    dtype: torch.dtype, variant: str | None, tmp_path: Path
) -> None:
    made = random_parts("sd21-mini")
    want = {name: value.to(dtype).float() for name, value in weights(made).items()}
    folder = save_pipeline(made, tmp_path / "half", dtype, variant=variant)
    found = weights(Backbone.load(str(folder)))
    assert all(torch.equal(found[name], value) for name, value in want.items())


def header_only(path: Path, **tensors: tuple[int, ...]) -> Path:
    save_file({name.replace("__", "."): torch.zeros(shape) for name, shape in tensors.items()}, path)
    return path


XL = {
    "conditioner__embedders__1__model__transformer__resblocks__9__mlp__c_proj__bias": (4,),
    "model__diffusion_model__input_blocks__0__0__weight": (4, 4, 3, 3),
}
FLUX = {"double_blocks__0__img_attn__norm__key_norm__scale": (4,), "img_in__weight": (4, 4)}
INPAINTING = {"model__diffusion_model__input_blocks__0__0__weight": (4, 9, 3, 3)}
BARE = {"conv_in__weight": (4, 4, 3, 3)}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [(XL, "xl_base"), (FLUX, "flux-schnell"), (INPAINTING, "inpainting"), (BARE, "no U-Net and no VAE")],
)
def test_files_of_another_architecture_are_refused(tensors: Any, words: str, tmp_path: Path) -> None:
    path = header_only(tmp_path / "other.safetensors", **tensors)
    with pytest.raises(WeightsError, match=words):
        Backbone.load(str(path))


def test_a_file_of_sd_2_must_say_what_it_predicts(tmp_path: Path, parts: dict[str, Any]) -> None:
    path = write_original(parts["sd21-mini"], tmp_path / "model.safetensors")
    key = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"
    tensors = load_file(path)
    save_file({**tensors, key: torch.zeros(8, 1024)}, path)
    with pytest.raises(ConfigError, match=r"model\.safetensors@sd21 .*@sd21-base"):
        Backbone.load(str(path))
    with pytest.raises(WeightsError, match=r"another shape; .*\(32, 64\).*\(320, 1024\) of sd21"):
        Backbone.load(f"{path}@sd21")
    with pytest.raises(ConfigError, match="unknown shape 'sd12'"):
        Backbone.load(f"{path}@sd12")


def test_incomplete_and_broken_files_are_refused(tmp_path: Path, parts: dict[str, Any]) -> None:
    pytest.importorskip("open_clip")
    path = write_original(parts["sd15-mini"], tmp_path / "model.safetensors")
    tensors = load_file(path)
    for key in (
        "model.diffusion_model.out.2.bias",
        "first_stage_model.encoder.conv_in.bias",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    ):
        save_file({name: value for name, value in tensors.items() if name != key}, path)
        with pytest.raises(WeightsError, match=r"the file is not complete.*missing"):
            Backbone.load(f"{path}@sd15-mini")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        Backbone.load(str(path))
    with pytest.raises(ConfigError, match="no such backbone file"):
        Backbone.load(str(tmp_path / "nowhere.safetensors"))


def test_without_clips_vocabulary_the_line_says_what_to_install(
    tmp_path: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_original(parts["sd15-mini"], tmp_path / "model.safetensors")
    monkeypatch.setattr("replication_bench.pretrained.tokenizer.VOCABULARY_FILE", "nowhere.gz")
    with pytest.raises(WeightsError, match=r"vocabulary is not on this machine.*replbench\[clip\]"):
        Backbone.load(f"{path}@sd15-mini")


def test_folders_of_another_architecture_are_refused(tiny: Path, tmp_path: Path) -> None:
    index = json.loads((tiny / "model_index.json").read_text())
    for change, words in (
        (
            {"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["transformers", "X"]},
            "text_encoder_2",
        ),
        ({"_class_name": "FluxPipeline", "unet": [None, None]}, "FluxPipeline without unet"),
    ):
        (tmp_path / "model_index.json").write_text(json.dumps(index | change))
        with pytest.raises(WeightsError, match=f"another architecture.*{words}"):
            Backbone.load(str(tmp_path))


def test_a_u_net_for_inpainting_is_refused(tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel

    made = random_parts("sd21-mini")
    made["unet"] = UNet2DConditionModel.from_config({**made["unet"].config, "in_channels": 9})
    with pytest.raises(WeightsError, match="9 input channels over 4 latent channels"):
        Backbone.load(str(save_pipeline(made, tmp_path / "inpainting")))


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    folder = save_pipeline(random_parts("sd21-mini"), tmp_path / "pickled", safe_serialization=False)
    with pytest.raises(WeightsError, match="safetensors"):
        Backbone.load(str(folder))


@pytest.mark.parametrize("name", ["model.ckpt", "model.bin", "model.ckpt@sd21"])
def test_a_pickled_file_is_told_to_be_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name.partition("@")[0]).write_bytes(b"pickled")
    with pytest.raises(
        ConfigError, match=r"another kind; .*want a file \*.safetensors; pickles .* never read"
    ):
        Backbone.load(str(tmp_path / name))


@pytest.mark.parametrize("name", ["random:sd22", "random:"])
def test_unknown_shapes_name_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown shape.*sd21-mini"):
        Backbone.load(name)


def test_a_hub_that_cannot_be_reached_is_one_line() -> None:
    with pytest.raises(WeightsError, match="nobody/nothing"):
        Backbone.load("nobody/nothing")
