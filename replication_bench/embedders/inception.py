"""Inception-v3 as FID uses it: the TensorFlow network of 2015-12-05, ported; features of 2048 numbers.

Heusel et al. 2017 (arXiv 1706.08500). The network is torch-fidelity's; pytorch-fid's file holds the same weights. Three
published ways to bring an image to 299 px give three FIDs, so each has a name:

* ``torch-fidelity``: TensorFlow 1's bilinear filter, on 0 to 255, as the original code;
* ``pytorch-fid``: torch's bilinear filter without smoothing;
* ``clean-fid``: Pillow's bicubic filter on floats, channel by channel (Parmar et al. 2022, arXiv 2104.11222).
"""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from replication_bench.data.images import file_sha256
from replication_bench.embedders.protocol import ImageProtocol, flattened
from replication_bench.embedders.torch_embedder import Array, TorchEmbedder, module_device
from replication_bench.embedders.weights import download, find_file, not_weights, read_state
from replication_bench.errors import WeightsError

SIDE = 299
FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
DOWNLOAD = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILES[0]}"
GET_HINT = f"Give download=true, or path= the file of {DOWNLOAD} (94 MB); needs replbench[fid]."
SHA256_PREFIX = "6726825d"
MEAN, STD = (128 / 255,) * 3, (128 / 255,) * 3  # (x - 128) / 128 on 0 to 255
HALF = (0.5, 0.5, 0.5)


def load(path: Path) -> nn.Module:
    """The network up to its pooled features, float [n, 3, 299, 299] -> [n, 2048, 1, 1].

    torch-fidelity reads weights with an unsafe loader, so it is handed a copy of what the safe one has read.

    Raises:
        WeightsError: torch-fidelity is missing, or the file holds other weights.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise WeightsError("Inception-v3 needs the package 'torch-fidelity'", hint=GET_HINT) from error
    copy = io.BytesIO()
    torch.save(read_state(path, "Inception-v3", GET_HINT), copy)
    copy.seek(0)
    try:
        whole = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
    except RuntimeError as error:
        raise not_weights(path, "Inception-v3", GET_HINT, str(error).replace("\n", " ")) from error
    parts = OrderedDict((name, module) for name, module in whole.named_children() if name != "fc")
    return nn.Sequential(parts)


def like_tensorflow(pixels: Tensor) -> Tensor:
    """To 299 px by TensorFlow 1's bilinear filter."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    return cast(
        Tensor, interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(SIDE, SIDE), align_corners=False)
    )


def by_channel(image: Image.Image) -> Array:
    """To 299 px by Pillow's bicubic filter in float: float32 [299, 299, 3] on the scale of 0 to 255."""
    channels = np.asarray(flattened(image), dtype=np.float32)
    size, bicubic = (SIDE, SIDE), Image.Resampling.BICUBIC
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(channels[..., c])).resize(size, bicubic))
        for c in range(3)
    ]
    return np.stack(resized, axis=2).clip(0, 255)


def choose_file(path: str, fetch: bool) -> Path:
    """The file at ``path``, in the weights folder, or, where ``fetch`` is set, from the network.

    Raises:
        WeightsError: it is in none of these places.
    """
    if fetch and not path:
        return download(DOWNLOAD, "Inception-v3", GET_HINT, SHA256_PREFIX)
    return find_file(path, FILES, "Inception-v3", GET_HINT)


class Inception(TorchEmbedder):
    """Inception-v3 of FID, 2048 numbers; its weights by path or from the weights folder.

    Args:
        path: pytorch-fid's ``pt_inception-2015-12-05-6726825d.pth`` or torch-fidelity's file of the same weights.
        preset: ``torch-fidelity``, ``pytorch-fid`` or ``clean-fid``; see the module.
        download: fetch pytorch-fid's file into the weights folder, where ``path`` is empty and it is not there.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        WeightsError: missing or other weights, or torch-fidelity is missing.
        ConfigError: unknown preset.
    """

    name = "inception"
    source: ClassVar[str] = "path= pytorch-fid's or torch-fidelity's file; needs replbench[fid]"
    presets: ClassVar[dict[str, Any]] = {
        "torch-fidelity": {"interpolation": "bilinear", "mean": MEAN, "std": STD},
        "pytorch-fid": {"interpolation": "bilinear", "mean": HALF, "std": HALF},
        "clean-fid": {"interpolation": "bicubic", "mean": MEAN, "std": STD},
    }
    hint = GET_HINT

    def __init__(
        self,
        path: str = "",
        preset: str = "torch-fidelity",
        download: bool = False,
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 16,
    ):
        settings = {"resize": "none", "pixels": SIDE, "dtype": "float32", **self.settings(preset)}
        file = choose_file(path, download)
        self.place(device, threads, batch_size)
        self.module, self.preset = module_device(load(file), self.device), preset
        self.start(ImageProtocol(preset, file_sha256(file), **settings))

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``."""
        return str(find_file("", FILES, "Inception-v3", GET_HINT))

    def prepare(self, image: Image.Image) -> Array:
        """See ``TorchEmbedder``: untouched, but for ``clean-fid``."""
        return by_channel(image) if self.preset == "clean-fid" else super().prepare(image)

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``; normalising and resizing can change places, since both filters keep constants."""
        if pixels.shape[-2:] != (SIDE, SIDE):
            if self.preset == "torch-fidelity":
                pixels = like_tensorflow(pixels)
            else:
                mode = "bicubic" if self.preset == "clean-fid" else "bilinear"
                smooth = self.preset == "clean-fid"
                pixels = functional.interpolate(pixels, (SIDE, SIDE), mode=mode, antialias=smooth)
        return cast(Tensor, self.module(pixels).flatten(1))
