"""DINOv2 (Oquab et al. 2023, arXiv 2304.07193) by transformers; dgm-eval's FD-DINOv2 uses ViT-L/14, fld ViT-B/14."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from replication_bench.backbone import weights_sha256
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.torch_embedder import TorchEmbedder, module_device
from replication_bench.embedders.weights import cached_in_hub
from replication_bench.errors import WeightsError
from replication_bench.pretrained.hub import check_reachable
from replication_bench.pretrained.parts import quiet

GET_HINT = (
    "Give path= a folder that 'Dinov2Model.from_pretrained' reads, or a hub id such as facebook/dinov2-large."
)


def load(path: str) -> Any:
    """A ``Dinov2Model`` in float32.

    Raises:
        WeightsError: no folder, an unreachable hub, another kind of model, or weights that do not fill it.
    """
    from transformers import AutoConfig, Dinov2Model

    quiet()
    loader: Any = Dinov2Model
    looks_local = path.startswith((".", "/", "~")) or path.count("/") != 1
    if not path or (looks_local and not Path(path).is_dir()):
        raise WeightsError("the DINOv2 weights are missing", where=path or "path", hint=GET_HINT)
    if not Path(path).is_dir():
        check_reachable(path, ("config.json",), GET_HINT)
    try:
        kind = AutoConfig.from_pretrained(path).model_type
        if kind != "dinov2":
            raise WeightsError(
                "the folder holds another model", where=path, got=kind, want="dinov2", hint=GET_HINT
            )
        model, report = loader.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:160]
        raise WeightsError(
            "the DINOv2 weights cannot be loaded", where=path, got=first, hint=GET_HINT
        ) from error
    if report["missing_keys"]:
        got = f"{len(report['missing_keys'])} tensors missing, {sorted(report['missing_keys'])[0]} first"
        raise WeightsError("the DINOv2 weights are not complete", where=path, got=got, hint=GET_HINT)
    return model


class Dinov2(TorchEmbedder):
    """DINOv2's class token after the last layer norm.

    Args:
        path: a folder in transformers' format, or a hub id.
        preset: ``dgm-eval`` (squash 224, bicubic, ImageNet statistics) or ``dinov2`` (short side 256, crop 224).
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        WeightsError: see ``load``.
        ConfigError: unknown preset.
    """

    name = "dinov2"
    source: ClassVar[str] = "path= a folder in transformers' format, or a hub id"
    presets = {  # noqa: RUF012
        "dgm-eval": {"resize": "squash", "pixels": 224},
        "dinov2": {"resize": "short", "pixels": 256, "crop": 224},
    }
    hint = GET_HINT

    def __init__(
        self,
        path: str = "facebook/dinov2-large",
        preset: str = "dgm-eval",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 16,
    ):
        settings = self.settings(preset)
        self.place(device, threads, batch_size)
        model = load(path)
        label = f"{preset} {path.rstrip('/').rsplit('/', 1)[-1]}"
        shape = [
            getattr(model.config, key) for key in ("num_attention_heads", "hidden_act", "layer_norm_eps")
        ]
        digest = hashlib.sha256(f"{weights_sha256(model)} {shape}".encode()).hexdigest()
        self.model = module_device(model, self.device)
        self.start(ImageProtocol(label, digest, dtype="float32", **settings))

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``: the default model in the hub's cache."""
        return cached_in_hub("facebook/dinov2-large", "model.safetensors", "DINOv2", GET_HINT)

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return cast(Tensor, self.model(pixel_values=pixels).last_hidden_state[:, 0])
