"""What every embedder with a torch network shares: batches, threads, device, unit rows, gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from replication_bench import machine
from replication_bench.embedders.presets import Settings, choose
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import ConfigError, WeightsError

BATCH = 16
Array = NDArray[Any]


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Limit torch to ``count`` threads; the setting is the whole process's, so it is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TorchEmbedder(ABC):
    """Base of the embedders with a torch network.

    A subclass gives ``network`` and, in its constructor, calls ``start`` once its weights are there.

    Attributes:
        source: where the weights come from, for ``replbench embedders``.
        presets: the protocols that it can follow, by name.
        refused: protocols that its weights cannot follow, each with the reason.
        device: where the network computes.
        threads: torch's threads while this embedder computes on the CPU; None leaves them as they are.
        batch_size: images a pass.
    """

    name: str
    source: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Settings]] = {}
    refused: ClassVar[Mapping[str, str]] = {}
    hint: ClassVar[str] = ""
    differentiable: bool = True
    protocol: ImageProtocol
    dim: int

    @abstractmethod
    def network(self, pixels: Tensor) -> Tensor:
        """Normalised pixels float [n, 3, H, W] to vectors float [n, dim], any norm, with gradients."""

    @classmethod
    def settings(cls, preset: str) -> Settings:
        """The settings of a protocol; raises ConfigError as ``presets.choose`` does."""
        return choose(cls.name, preset, cls.presets, cls.refused)

    @classmethod
    def weights_found(cls) -> str:
        """What ``replbench doctor`` says of the weights that a call without options would use.

        Raises:
            WeightsError: they are not there; says how to get them.
        """
        return "none needed"

    def place(self, device: str | None, threads: int | None, batch_size: int) -> None:
        """Keep where and how to compute; ``device`` None is CUDA where there is one."""
        self.device = choose_device(device)
        self.threads, self.batch_size = threads, max(1, batch_size)

    def start(self, protocol: ImageProtocol) -> None:
        """Keep the protocol and learn ``dim`` from one black image.

        Raises:
            WeightsError: see ``compute``.
        """
        self.protocol = protocol
        side = protocol.crop or protocol.pixels
        self.dim = self.compute([np.zeros((side, side, 3), dtype=np.uint8)]).shape[1]

    def prepare(self, image: Image.Image) -> Array:
        """What a batch is stacked of: [H, W, 3] on the scale of 0 to 255."""
        return self.protocol.prepare(image)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels float [n, 3, H, W] in [0, 1], with the protocol's mean and deviation taken out."""
        mean, std = (pixels.new_tensor(v).view(1, 3, 1, 1) for v in (self.protocol.mean, self.protocol.std))
        return (pixels - mean) / std

    @torch.no_grad()
    def compute(self, arrays: Sequence[Array]) -> Vectors:
        """Vectors float32 [n, dim], any norm, of prepared images of one shape.

        Raises:
            WeightsError: the network does not take images, or does not give one finite vector an image.
        """
        pixels = torch.from_numpy(np.stack(arrays)).to(self.device).permute(0, 3, 1, 2).float() / 255
        try:
            with torch_threads(self.threads), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                output: Any = self.network(self.normalised(pixels))
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise WeightsError("the network takes no images", got=last, hint=self.hint) from error
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(arrays):
            got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            want = f"[{len(arrays)}, d]"
            raise WeightsError("the network gives no vectors", got=got, want=want, hint=self.hint)
        if not output.isfinite().all():
            raise WeightsError("the network gives NaN or infinity", hint=self.hint)
        vectors: Vectors = output.float().cpu().numpy()
        return vectors

    def features(self, images: Sequence[Image.Image]) -> Vectors:
        """See ``FeatureEmbedder``. Images of one shape share a batch: a kept aspect leaves ragged shapes."""
        arrays = [self.prepare(image) for image in images]
        rows = np.zeros((len(arrays), self.dim), dtype=np.float32)
        for shape in dict.fromkeys(array.shape for array in arrays):
            indices = [i for i, array in enumerate(arrays) if array.shape == shape]
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                rows[chunk] = self.compute([arrays[i] for i in chunk])
        return rows

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """See ``Embedder``."""
        return unit(self.features(images))

    def resized(self, pixels: Tensor) -> Tensor:
        """As ``prepare``, for pixels float [n, 3, H, W] in [0, 1], with gradients."""
        height, width = pixels.shape[-2:]
        columns, lines = self.protocol.size(width, height)
        if (columns, lines) != (width, height):
            mode = self.protocol.interpolation
            pixels = functional.interpolate(pixels, (lines, columns), mode=mode, antialias=True).clamp(0, 1)
        left, top, right, bottom = self.protocol.crop_box(columns, lines)
        return pixels[..., top:bottom, left:right]

    def encode_tensor(self, images: Tensor) -> Tensor:
        """See ``DifferentiableEmbedder``."""
        pixels = self.resized((images.to(self.device).float() + 1) / 2)
        return functional.normalize(self.network(self.normalised(pixels)).float(), dim=1).to(images.device)


def choose_device(name: str | None) -> torch.device:
    """The device called ``name``; None is the machine's choice.

    Raises:
        ConfigError: no such device here.
    """
    here = torch.cuda.is_available()
    try:
        device = torch.device(name or machine.choose_device())
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps") or (device.type == "cuda" and not here):
        raise ConfigError(
            "no such device here", where="device", got=name, want="cuda, if there is one, or cpu"
        )
    return device


def unit(rows: Vectors) -> Vectors:
    """Rows of norm 1; computed in float64, so that the norm holds to the last digit."""
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    scaled: Vectors = (rows / np.where(norms == 0, 1, norms)).astype(np.float32)
    return scaled


def module_device(module: Any, device: torch.device) -> Any:
    """A network frozen, in evaluation mode, on ``device``."""
    for parameter in module.parameters():  # a TorchScript module has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return module.eval().to(device)
