"""What a method cannot do on the backbone's U-Net is told before any method of the command trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from diffusers import UNet2DConditionModel

from baselines.dp import Dp
from baselines.losscut import LossCut
from baselines.sampling.nemo import Nemo
from baselines.sampling.ren import Ren
from loyal.method import Loyal
from replication_bench.config import TrainConfig
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Method
from replication_bench.testing import load_backbone


@pytest.mark.parametrize(
    ("target", "words"), [("nope", "the U-Net has no such layer"), ("norm1", "the layer cannot be adapted")]
)
def test_targets_that_cannot_be_adapted_are_refused_before_the_first_method_trains(
    target: str, words: str, tiny: Path, tmp_path: Path, replbench: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, err = replbench(
        *("run", "--dataset", "openmoji", "--backbone", tiny, "--out", tmp_path / "runs"),
        *("--method", "none", "--method", "lora", "--set", f"methods.lora.targets={target}", "--samples", 1),
        *("--set", "train.budget=1", "--set", "train.batch_size=1", "--set", "train.pixels=32"),
        *("--set", "sample.steps=1", "--set", "measure.embedder=pixels"),
    )
    assert status == 2
    assert words in err
    assert not list(tmp_path.glob("runs/*/train/*"))


def small_unet(channels: tuple[int, ...], **options: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=4,
        **options,
    )


@pytest.mark.parametrize(
    ("channels", "options", "words"),
    [
        ((8, 8), {"skips": ("SC3",)}, "no skip connection SC3"),
        ((8, 16), {"skips": ("SC2",), "block": "no_skip"}, ""),
        ((16, 8), {"skips": ("SC1",), "block": "no_skip"}, "no_skip cannot replace SC1"),
    ],
)
def test_loyal_asks_for_skips_of_the_backbone(
    channels: tuple[int, ...], options: dict[str, Any], words: str
) -> None:
    ctx: Any = SimpleNamespace(backbone=SimpleNamespace(unet=small_unet(channels)))
    if not words:
        Loyal(**options).check(ctx)
        return
    with pytest.raises(ConfigError, match=words):
        Loyal(**options).check(ctx)


@pytest.mark.parametrize("method", [Ren(), Nemo()], ids=["ren", "nemo"])
def test_a_network_without_cross_attention_is_refused(method: Method, tiny: Path) -> None:
    unet = small_unet((8, 8), mid_block_type="UNetMidBlock2D")
    ctx: Any = SimpleNamespace(backbone=SimpleNamespace(unet=unet))
    with pytest.raises(ConfigError, match="the networks have no cross-attention"):
        method.check(ctx)
    ctx.backbone.unet = load_backbone(tiny).unet
    method.check(ctx)


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        (LossCut(), {"accumulate": 2}),
        (Dp(), {"gradient_checkpointing": True}),
        (Dp(), {"compile": "inductor"}),
    ],
    ids=str,
)
def test_options_of_speed_that_would_make_another_method_are_refused(
    method: Method, setting: dict[str, Any]
) -> None:
    backbone: Any = None
    method.check(Context(backbone, TrainConfig()))
    with pytest.raises(ConfigError, match=f"train.{next(iter(setting))}; got"):
        method.check(Context(backbone, TrainConfig(**setting)))
