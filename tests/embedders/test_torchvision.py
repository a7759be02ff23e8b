"""The published protocols against torchvision's own transforms, which their sources use with the default filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from replication_bench.embedders.presets import SSCD
from replication_bench.embedders.protocol import ImageProtocol

PUBLISHED: dict[str, list[Any]] = {
    "sscd-official-288": [transforms.Resize(288)],
    "sscd-official-320": [transforms.Resize([320, 320])],
    "membench-288": [transforms.Resize((288, 288))],
    "dcr": [transforms.Resize(256), transforms.CenterCrop(224)],
}


def photo(width: int, height: int) -> Image.Image:
    noise: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST)


@pytest.mark.parametrize("preset", PUBLISHED)
@pytest.mark.parametrize(
    "size", [(500, 333), (333, 500), (97, 64), (400, 399), (288, 288), (343, 256), (256, 345)]
)
def test_images_are_what_torchvision_makes_of_them(preset: str, size: tuple[int, int]) -> None:
    image = photo(*size)
    wanted = np.asarray(transforms.Compose(PUBLISHED[preset])(image))
    np.testing.assert_array_equal(ImageProtocol(preset, "w", **SSCD[preset]).prepare(image), wanted)


def test_the_protocol_of_published_results_is_as_it_was() -> None:
    protocol = ImageProtocol("sscd-128", "0" * 64, **SSCD["sscd-128"])
    assert protocol.interpolation == "bicubic"
    assert protocol.hash.startswith("cd7e89a1a126")
