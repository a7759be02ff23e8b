"""OpenCLIP: any model of open_clip with an image and a text tower.

Radford et al. 2021 (arXiv 2103.00020); library open_clip_torch. Preprocessing is what the weights bring along.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from replication_bench.backbone import weights_sha256
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.embedders.torch_embedder import TorchEmbedder, module_device, torch_threads, unit
from replication_bench.embedders.weights import cached_in_hub
from replication_bench.errors import ConfigError, WeightsError, did_you_mean
from replication_bench.pretrained.hub import check_reachable

INSTALL_HINT = "pip install 'replbench[clip]'"
GET_HINT = (
    "Give 'path=' a checkpoint file or an open_clip folder, or let 'pretrained=' be a tag of "
    "'open_clip.list_pretrained()' on a machine that reaches the hub."
)
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
RESIZE = {"shortest": "short", "squash": "squash"}


def library() -> Any:
    """The module ``open_clip``.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise WeightsError("OpenCLIP needs the package 'open_clip_torch'", hint=INSTALL_HINT) from error
    return open_clip


def locate(model: str, pretrained: str, path: str) -> tuple[str, str | None]:
    """open_clip's own two arguments.

    Raises:
        WeightsError: a path where nothing is.
        ConfigError: a model that open_clip does not know.
    """
    if path and not Path(path).exists():
        raise WeightsError("the OpenCLIP weights are missing", where=path, hint=GET_HINT)
    if path and Path(path).is_dir():
        return f"local-dir:{path}", None
    if not model.startswith("hf-hub:") and model not in library().list_models():
        hint = did_you_mean(model, library().list_models()).split(" Known")[0]
        raise ConfigError(f"open_clip knows no model '{model}'", hint=f"{hint} See open_clip.list_models().")
    return model, path or pretrained or None


def load(model: str, pretrained: str | None) -> tuple[Any, Any, Any]:
    """Network, preprocessing and tokenizer.

    Raises:
        WeightsError: the checkpoint is missing, does not fit the model, or cannot be downloaded.
    """
    open_clip = library()
    quick = quick_gelu(model, pretrained)
    try:
        with quiet():
            check_hub(model, pretrained)
            network = open_clip.create_model(
                model, pretrained, require_pretrained=True, force_quick_gelu=quick
            )
            tokenizer = open_clip.get_tokenizer(model)
    except (RuntimeError, OSError, ValueError, KeyError, AssertionError) as error:
        where = model if pretrained is None else f"{model} {pretrained}"
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise WeightsError(
            "the OpenCLIP weights cannot be loaded", where=where, got=first, hint=GET_HINT
        ) from error
    return network, open_clip.get_model_preprocess_cfg(network), tokenizer


def check_hub(model: str, pretrained: str | None) -> None:
    """Refuse a hub that gives no answer, where the weights would come from it; see ``check_reachable``."""
    if model.startswith("hf-hub:"):
        check_reachable(model.removeprefix("hf-hub:"), ("open_clip_config.json",), GET_HINT)
        return
    found = library().get_pretrained_cfg(model, pretrained).get("hf_hub", "") if pretrained else ""
    repository, _, file = found.rpartition("/")
    if repository:
        check_reachable(repository, (file, *HUB_FILES) if file else HUB_FILES, GET_HINT)


def quick_gelu(model: str, pretrained: str | None) -> bool:
    """Whether the tag's weights need QuickGELU; with another activation open_clip only warns, and is wrong."""
    return bool(pretrained and library().get_pretrained_cfg(model, pretrained).get("quick_gelu"))


@contextmanager
def quiet() -> Iterator[None]:
    """Without open_clip's own log lines: an error here is told once, by us."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def digest(network: Any, model: str) -> str:
    """Hash of the weights and of the architecture: equal weights with other heads or activations are other networks."""
    config = json.dumps(library().get_model_config(model), sort_keys=True, default=str)
    return hashlib.sha256((weights_sha256(network) + config).encode()).hexdigest()


def settings_of(preprocess: dict[str, Any]) -> dict[str, Any]:
    """open_clip's preprocessing as fields of ``ImageProtocol``.

    Raises:
        WeightsError: a kind of preprocessing that has no name here.
    """
    size, mode = preprocess["size"], preprocess.get("resize_mode") or "shortest"
    side = size if isinstance(size, int) else size[0]
    if mode not in RESIZE or (not isinstance(size, int) and len(set(size)) != 1):
        raise WeightsError("the model wants images of a form that is not supported", got=f"{mode} {size}")
    return {
        "resize": RESIZE[mode],
        "pixels": side,
        "crop": side if mode == "shortest" else None,
        "mean": tuple(preprocess["mean"]),
        "std": tuple(preprocess["std"]),
        "interpolation": preprocess.get("interpolation") or "bicubic",
    }


class OpenClip(TorchEmbedder):
    """OpenCLIP: images and texts in one space; any model, from the hub, a checkpoint file or a folder.

    Args:
        model: a name of ``open_clip.list_models()`` or ``hf-hub:owner/name``.
        pretrained: a tag of ``open_clip.list_pretrained()``; downloaded by open_clip unless it is in its cache.
        path: a local checkpoint (``.pt``, ``.safetensors``) of ``model``, or a folder with ``open_clip_config.json``;
            OpenAI's weights need a model whose name ends in ``-quickgelu``.
        preset: ``model`` is the preprocessing that the weights bring along; there is no other.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        WeightsError, ConfigError: see ``locate`` and ``load``.
    """

    name = "open-clip"
    source: ClassVar[str] = "hub tag by open_clip, or path= a checkpoint or folder"
    presets = {"model": {}}  # noqa: RUF012 - declared ClassVar by the base
    hint = GET_HINT

    def __init__(
        self,
        model: str = "ViT-B-16",
        pretrained: str = "openai",
        path: str = "",
        preset: str = "model",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 32,
    ):
        self.settings(preset)
        self.place(device, threads, batch_size)
        found, tag = locate(model, pretrained, path)
        network, preprocess, self.tokenizer = self.load(found, tag)
        sha256 = digest(network, found)
        self.model = module_device(network, self.device)
        self.label = self.label_of(model, pretrained, path)
        self.start(ImageProtocol(self.label, sha256, dtype="float32", **settings_of(preprocess)))

    def load(self, model: str, pretrained: str | None) -> tuple[Any, Any, Any]:
        """Network, preprocessing and tokenizer; see ``load``."""
        return load(model, pretrained)

    def label_of(self, model: str, pretrained: str, path: str) -> str:
        """The protocol's name: model and weights."""
        if path:
            return Path(path).name if Path(path).is_dir() else f"{model} {Path(path).stem}"
        return model if model.startswith("hf-hub:") else f"{model} {pretrained}"

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``: the default model in the hub's cache."""
        repository = str(library().get_pretrained_cfg("ViT-B-16", "openai").get("hf_hub", "")).rstrip("/")
        return cached_in_hub(repository, "open_clip_model.safetensors", "OpenCLIP", GET_HINT)

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return cast(Tensor, self.model.encode_image(pixels))

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Vectors:
        """See ``ImageTextEmbedder``."""
        rows = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(texts), self.batch_size):
            tokens = self.tokenizer(list(texts[start : start + self.batch_size])).to(self.device)
            with torch_threads(self.threads):
                rows.append(self.model.encode_text(tokens).float().cpu().numpy())
        return unit(np.concatenate(rows))

    def count_cut(self, texts: Sequence[str]) -> int:
        """See ``ImageTextEmbedder``: one token more room changes the tokens of those that were cut."""
        if not texts:
            return 0
        length = self.model.context_length
        fitted = self.tokenizer(list(texts), context_length=length)
        roomier = self.tokenizer(list(texts), context_length=length + 1)[:, :length]
        return int((fitted != roomier).any(1).sum())
