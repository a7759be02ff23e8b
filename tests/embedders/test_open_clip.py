from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("open_clip")

from replication_bench.embedders import open_clip as room
from replication_bench.embedders import pocket
from replication_bench.embedders.efficientnet import load, packaged_weights
from replication_bench.embedders.open_clip import OpenClip
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.testing.embedder_checks import pictures


def test_a_folder_brings_its_preprocessing_along(clip_folder: str) -> None:
    protocol = OpenClip(path=clip_folder).protocol
    assert (protocol.name, protocol.resize, protocol.pixels, protocol.crop) == (
        "tiny-clip",
        "squash",
        32,
        None,
    )
    assert (protocol.mean, protocol.std, protocol.interpolation) == ((0.4,) * 3, (0.3,) * 3, "bilinear")


def test_images_and_texts_are_what_open_clip_gives(clip_folder: str) -> None:
    import open_clip

    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{clip_folder}")
    network.eval()
    image, text = pictures(1)[0], "a red circle"
    with torch.no_grad():
        want_image = network.encode_image(transform(image)[None], normalize=True).numpy()
        want_text = network.encode_text(
            open_clip.get_tokenizer(f"local-dir:{clip_folder}")([text]), normalize=True
        )
    embed = OpenClip(path=clip_folder)
    np.testing.assert_allclose(embed([image]), want_image, atol=2e-3)
    np.testing.assert_allclose(embed.texts([text]), want_text.numpy(), atol=1e-5)


def test_a_bare_checkpoint_needs_its_models_name(clip_folder: str, tmp_path: Path) -> None:
    import open_clip

    config = json.loads(Path(clip_folder, "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    (tmp_path / "tiny-test-clip.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(tmp_path)
    bare = tmp_path / "epoch_3.safetensors"
    shutil.copyfile(Path(clip_folder, "open_clip_model.safetensors"), bare)
    embed = OpenClip("tiny-test-clip", path=str(bare))
    assert embed.protocol.name == "tiny-test-clip epoch_3"
    assert (embed.protocol.resize, embed.protocol.crop) == ("short", 32)
    assert embed.protocol.weights_sha256 == OpenClip(path=clip_folder).protocol.weights_sha256
    with pytest.raises(WeightsError, match=r"cannot be loaded; in ViT-S-32.*"):
        OpenClip("ViT-S-32", path=str(bare))


def test_a_tag_brings_its_activation_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip itself only warns: ViT-B-16 of OpenAI computed with the wrong activation looks plausible."""
    import open_clip

    asked = []
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: asked.append(kwargs) or 1 / 0)
    for model, tag in (("ViT-B-16", "openai"), ("ViT-B-16", "laion2b_s34b_b88k")):
        with pytest.raises(ZeroDivisionError):
            room.load(model, tag)
    assert [kwargs["force_quick_gelu"] for kwargs in asked] == [True, False]


def test_equal_weights_with_other_heads_are_another_protocol(clip_folder: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-clip"
    shutil.copytree(clip_folder, folder)
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    config["model_cfg"]["vision_cfg"]["head_width"] = 8
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    one, two = OpenClip(path=clip_folder), OpenClip(path=str(folder))
    assert not np.allclose(one(pictures(1)), two(pictures(1)), atol=1e-6)
    assert one.protocol.hash != two.protocol.hash


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"OpenCLIP weights are missing; in .*nowhere"):
        OpenClip(path=str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        OpenClip(path=str(tmp_path))
    with pytest.raises(ConfigError, match="Did you mean 'ViT-B-16'"):
        OpenClip("ViT-B-17")
    with pytest.raises(ConfigError, match="'open-clip' has no protocol 'dcr'"):
        OpenClip(preset="dcr")


def test_pocket_clip_says_when_it_was_not_packed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pocket, "files", lambda package: tmp_path)
    with pytest.raises(WeightsError, match=r"pocket-clip weights are missing.*build_clip\.py"):
        pocket.PocketClip()


def test_pocket_clip_finds_captions_of_drawings_that_it_never_saw() -> None:
    from replication_bench.data.openmoji import OpenMoji

    try:
        embed = pocket.PocketClip(threads=1)
    except WeightsError as error:
        pytest.skip(str(error))
    heldout = OpenMoji().load().heldout
    images = embed([example.load() for example in heldout])
    similarity = images @ embed.texts([example.captions[0] for example in heldout]).T
    place = (similarity > np.diag(similarity)[:, None]).sum(1)
    assert (place < 10).mean() > 3 * 10 / len(heldout)


def test_the_repository_holds_no_tensor_of_the_image_towers_package() -> None:
    shipped = load_file(pocket.pocket_folder() / pocket.WEIGHTS)
    kept = load(packaged_weights()).state_dict()
    of_the_tower = {name.removeprefix(pocket.TOWER): shipped[name] for name in shipped if "trunk" in name}
    assert 0 < len(of_the_tower) < len(kept)
    assert not [
        name for name, value in of_the_tower.items() if torch.equal(value, pocket.rounded(kept[name]))
    ]
