"""Small checkpoints in the formats of the real ones, made once a session."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


class TinyResNet(nn.Module):
    """A residual network with unit vectors, in the calling format of SSCD's official files."""

    def __init__(self, dim: int):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=4, padding=3)
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8 * 9, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.stem(x))
        y = torch.relu(y + self.block(y))
        return nn.functional.normalize(
            self.head(nn.functional.adaptive_avg_pool2d(y, [3, 3]).flatten(1)), dim=1
        )


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def torchscript(path: Path, dim: int) -> str:
    torch.manual_seed(dim)
    torch.jit.script(TinyResNet(dim).eval()).save(str(path))
    return str(path)


@pytest.fixture(scope="session")
def sscd_large(checkpoints: Path) -> str:
    return torchscript(checkpoints / "sscd_disc_large.torchscript.pt", 1024)


@pytest.fixture(scope="session")
def sscd_mixup(checkpoints: Path) -> str:
    return torchscript(checkpoints / "sscd_disc_mixup.torchscript.pt", 512)


CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def clip_folder(checkpoints: Path) -> str:
    """A folder that open_clip reads as ``local-dir:``, with statistics and a resize of its own."""
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder = checkpoints / "tiny-clip"
    folder.mkdir()
    preprocess = {"mean": [0.4] * 3, "std": [0.3] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    config = {"model_cfg": CLIP_CONFIG, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(open_clip.model.CLIP(**CLIP_CONFIG).state_dict(), folder / "open_clip_model.safetensors")
    return str(folder)


@pytest.fixture(scope="session")
def dinov2_folder(checkpoints: Path) -> str:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    folder = checkpoints / "tiny-dinov2"
    Dinov2Model(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def inception_file(checkpoints: Path) -> str:
    """Random weights under the names of pytorch-fid's file, of a size at which signals neither fade nor grow."""
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    state = inception_v3(num_classes=1008, aux_logits=False, init_weights=False, weights=None).state_dict()
    for tensor in state.values():
        if tensor.ndim == 4:
            tensor.normal_(std=math.sqrt(2 / tensor[0].numel()))
    for name, tensor in state.items():
        if name.endswith("bn.bias"):
            tensor.normal_(std=0.1)  # else a black image is a vector of zeros
    path = checkpoints / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(state, path)
    return str(path)
