"""SSCD from Meta's official TorchScript files, by path (facebookresearch/sscd-copy-detection, README)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from replication_bench.embedders.protocol import IMAGENET_MEAN, IMAGENET_STD, ImageProtocol, Vectors
from replication_bench.embedders.sscd_onnx import BATCH, INSTALL_HINT
from replication_bench.errors import ConfigError, WeightsError, did_you_mean

HALF = (0.5, 0.5, 0.5)
PRESETS: dict[str, dict[str, Any]] = {
    "sscd-128": {"resize": "squash", "pixels": 128},
    "sscd-official-288": {"resize": "short", "pixels": 288},
    "sscd-official-320": {"resize": "squash", "pixels": 320},
    "membench-288": {"resize": "squash", "pixels": 288},
    "dcr": {"resize": "short", "pixels": 256, "crop": 224, "mean": HALF, "std": HALF},
}


def load_torchscript(path: str) -> torch.jit.ScriptModule:
    """A TorchScript archive in evaluation mode.

    Raises:
        WeightsError: no path, no file, or no TorchScript archive.
    """
    if not path or not Path(path).is_file():
        raise WeightsError(
            "the SSCD weights are missing", where=path or "embedder_options.path", hint=INSTALL_HINT
        )
    try:
        return torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        raise WeightsError(
            "the file is no TorchScript archive",
            where=path,
            got=str(error).splitlines()[0],
            hint=INSTALL_HINT,
        ) from error


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Limit torch to ``count`` threads; the setting is the whole process's, so it is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class SscdTorchScript:
    """An official SSCD file under one of the published protocols.

    Args:
        path: ``sscd_disc_mixup.torchscript.pt`` or a sibling.
        preset: a protocol of ``PRESETS`` (arXiv 2202.10261 README, MemBench, DCR).
        threads: torch's threads while this embedder computes; None leaves them as they are.

    Raises:
        WeightsError: see ``load_torchscript`` and ``forward``.
        ConfigError: unknown preset.
    """

    name = "sscd-torchscript"

    def __init__(self, path: str = "", preset: str = "sscd-official-288", threads: int | None = None):
        if preset not in PRESETS:
            raise ConfigError(f"unknown SSCD protocol '{preset}'", hint=did_you_mean(preset, PRESETS))
        self.threads = threads
        self.network = load_torchscript(path)
        settings = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "dtype": "float32", **PRESETS[preset]}
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        self.protocol = ImageProtocol(name=preset, weights_sha256=digest, **settings)
        side = self.protocol.crop or self.protocol.pixels
        self.dim = self.forward([np.zeros((side, side, 3), dtype=np.uint8)]).shape[1]

    @torch.no_grad()
    def forward(self, arrays: Sequence[np.ndarray]) -> Vectors:
        """Unit vectors float32 [n, dim] of prepared images uint8 [H, W, 3] of one shape.

        Raises:
            WeightsError: the network does not take images, or does not give one finite vector an image.
        """
        pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.protocol.mean, self.protocol.std))
        try:
            with torch_threads(self.threads):
                output = self.network((pixels - mean) / std)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise WeightsError("the network takes no images", got=last, hint=INSTALL_HINT) from error
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(arrays):
            got = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            want = f"[{len(arrays)}, d]"
            raise WeightsError("the network gives no vectors", got=got, want=want, hint=INSTALL_HINT)
        if not output.isfinite().all():
            raise WeightsError("the network gives NaN or infinity", hint=INSTALL_HINT)
        vectors: Vectors = torch.nn.functional.normalize(output.float(), dim=1).numpy()
        return vectors

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """See ``Embedder``. Images of one shape share a batch: a kept aspect leaves ragged shapes."""
        arrays = [self.protocol.prepare(image) for image in images]
        rows = np.zeros((len(arrays), self.dim), dtype=np.float32)
        for shape in {array.shape for array in arrays}:
            indices = [i for i, array in enumerate(arrays) if array.shape == shape]
            for start in range(0, len(indices), BATCH):
                chunk = indices[start : start + BATCH]
                rows[chunk] = self.forward([arrays[i] for i in chunk])
        return rows
