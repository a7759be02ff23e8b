from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from replication_bench import plugins
from replication_bench.embedders.efficientnet import EfficientNetLite0
from replication_bench.embedders.pixels import Pixels
from replication_bench.embedders.protocol import DifferentiableEmbedder, FeatureEmbedder
from replication_bench.embedders.sscd_onnx import Sscd, SscdDistilled
from replication_bench.embedders.sscd_torchscript import SscdTorchScript
from replication_bench.embedders.vae import VaeLatents
from replication_bench.errors import WeightsError
from replication_bench.testing import CheckFailed, check_embedder, embedder_checks
from replication_bench.testing.embedder_checks import pictures

Request = pytest.FixtureRequest


def open_clip(request: Request):
    from replication_bench.embedders.open_clip import OpenClip

    return OpenClip(path=request.getfixturevalue("clip_folder"), batch_size=3)


def pocket_clip(request: Request):
    pytest.importorskip("open_clip")
    from replication_bench.embedders.pocket import PocketClip

    return PocketClip(threads=1)


def dinov2(request: Request):
    from replication_bench.embedders.dinov2 import Dinov2

    return Dinov2(request.getfixturevalue("dinov2_folder"), batch_size=3)


def inception(request: Request):
    pytest.importorskip("torch_fidelity")
    from replication_bench.embedders.inception import Inception

    return Inception(request.getfixturevalue("inception_file"), batch_size=4)


MAKERS: dict[str, Callable[[Request], object]] = {
    "dinov2": dinov2,
    "efficientnet-lite0": lambda request: EfficientNetLite0(preset="lite0-128"),
    "inception": inception,
    "open-clip": open_clip,
    "pixels": lambda request: Pixels("pixels-32"),
    "pocket-clip": pocket_clip,
    "sscd": lambda request: Sscd(threads=1),
    "sscd-distilled": lambda request: SscdDistilled("sscd-official-288", threads=1),
    "sscd-torchscript": lambda request: SscdTorchScript(request.getfixturevalue("sscd_large"), "dcr"),
    "vae": lambda request: VaeLatents(),
}
SLOW = ("inception",)
QUICK_CHECKS = ("check_declarations", "check_modes", "check_gradients", "check_no_images")
CASES = [
    pytest.param(
        name, check, id=f"{name}-{check.__name__}",
        marks=pytest.mark.slow if name in SLOW and check.__name__ not in QUICK_CHECKS else (),
    )
    for name in MAKERS
    for check in embedder_checks()
]  # fmt: skip


@pytest.fixture(scope="session")
def made() -> dict[str, object]:
    return {}


@pytest.fixture
def embedder(request: Request, name: str, made: dict[str, object]):
    if name not in made:
        try:
            made[name] = MAKERS[name](request)
        except WeightsError as error:
            made[name] = error
    if isinstance(made[name], WeightsError):
        pytest.skip(str(made[name]))
    return made[name]


@pytest.mark.parametrize(("name", "check"), CASES)
def test_contract(name: str, check: Callable[[object], None], embedder: object) -> None:
    check(embedder)


def test_every_embedder_is_checked() -> None:
    assert set(MAKERS) == set(plugins.available("embedders"))


@pytest.mark.parametrize("name", ["sscd-torchscript", "open-clip", "pixels", "vae", "efficientnet-lite0"])
def test_gradients_pass_and_features_keep_their_size(name: str, embedder) -> None:
    assert isinstance(embedder, DifferentiableEmbedder)
    assert embedder.differentiable
    assert isinstance(embedder, FeatureEmbedder)
    features = embedder.features(pictures(2))
    np.testing.assert_allclose(
        embedder(pictures(2)), features / np.linalg.norm(features, axis=1, keepdims=True), atol=1e-6
    )


class Broken(Pixels):
    """An embedder that breaks one promise."""

    def __init__(self, fault: str):
        super().__init__("pixels-32")
        self.fault = fault

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        if self.fault == "mode":
            images = [image.convert("RGB") for image in images]
        if self.fault == "input" and images and images[0].mode == "RGB":
            images[0].putpixel((0, 0), (1, 2, 3))
        rows = super().__call__(images)
        faults = {
            "norm": lambda: rows * 2,
            "order": lambda: rows[np.argsort(rows[:, 0])],
            "batch": lambda: rows - rows.mean(0) if len(rows) > 1 else rows,
            "random": lambda: rows + np.random.default_rng().normal(0, 1e-4, rows.shape).astype(np.float32),
            "same": lambda: np.ones_like(rows) / np.sqrt(self.dim, dtype=np.float32),
            "empty": lambda: rows if len(rows) else np.zeros((0, 1), dtype=np.float32),
        }
        return faults.get(self.fault, lambda: rows)()

    def encode_tensor(self, images: torch.Tensor) -> torch.Tensor:
        row = super().encode_tensor(images)
        return row.detach().requires_grad_() if self.fault == "gradient" else row


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("norm", "unit_rows"), ("order", "order"), ("batch", "batches"), ("random", "repeats"), ("empty", "no_images"),
        ("same", "tells_images_apart"), ("mode", "modes"), ("input", "inputs_unchanged"), ("gradient", "gradients"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_named(fault: str, check: str) -> None:
    (one,) = (c for c in embedder_checks() if c.__name__ == f"check_{check}")
    with pytest.raises(CheckFailed, match=f"check_{check}: "):
        one(Broken(fault))


def test_a_whole_embedder_passes() -> None:
    check_embedder(Pixels("pixels-32"))
    with pytest.raises(CheckFailed, match="check_unit_rows"):
        check_embedder(Broken("norm"))
