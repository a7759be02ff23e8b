"""The method ``lora``: low-rank adapters on the attention layers are trained, the U-Net stays as it is.

Hu et al. (arXiv 2106.09685), through diffusers and PEFT; studied against memorization by Dutt et al.
(arXiv 2410.22149).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from replication_bench.errors import ConfigError
from replication_bench.extras import require
from replication_bench.method import Method, Stage
from replication_bench.ranges import integer, positive

if TYPE_CHECKING:
    from replication_bench.backbone import Backbone
    from replication_bench.context import Context

INSTALL = "replbench[lora]"
WHERE = "methods.lora.targets"
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
ADAPTABLE = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.Embedding,
    nn.MultiheadAttention,
)  # as PEFT 0.18 has it


def module_names(value: object) -> tuple[str, ...]:
    """Names of modules from a sequence or a comma-separated text.

    Raises:
        ConfigError: none, one that is no text, or one named twice.
    """
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not (names := list(names)) or "" in names:
        raise ConfigError("no layers chosen", where="targets", got=repr(value), want=", ".join(ATTENTION))
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ConfigError("targets must be distinct names of layers", where="targets", got=repr(value))
    return tuple(names)


def check_targets(unet: nn.Module, targets: tuple[str, ...]) -> None:
    """Refuse targets that the U-Net does not have, or that PEFT cannot adapt.

    Raises:
        ConfigError: a target that names no layer, or one of another kind.
    """
    want = f"such as {', '.join(ATTENTION)}"
    for target in targets:
        named = [part for name, part in unet.named_modules() if name == target or name.endswith(f".{target}")]
        if not named:
            raise ConfigError("the U-Net has no such layer", where=WHERE, got=target, want=want)
        if strange := [type(part).__name__ for part in named if not isinstance(part, ADAPTABLE)]:
            got = f"{target}, a {strange[0]}"
            raise ConfigError("the layer cannot be adapted", where=WHERE, got=got, want=want)


def add_adapters(unet: Any, config: Any, targets: tuple[str, ...]) -> nn.Module:
    """The frozen U-Net with adapters; only they ask for gradients.

    Raises:
        ConfigError: a target that names no layer, or layers that cannot be adapted.
    """
    check_targets(unet, targets)
    try:
        unet.requires_grad_(False).add_adapter(config)
    except ValueError as error:
        raise ConfigError("the layers cannot be adapted", where=WHERE, got=error) from error
    network: nn.Module = unet
    return network


@dataclass(frozen=True)
class Lora(Method):
    """``W x + (alpha / rank) B A x`` on each target layer; A is drawn, B starts at zero, W is frozen.

    Attributes:
        rank: rows of A and columns of B.
        alpha: scale of the adapters' output, times the rank.
        targets: names of the adapted layers, or their last parts; a sequence or a comma-separated text.

    Raises:
        ConfigError: a value out of range or a target that cannot be meant.
    """

    summary: ClassVar[str] = "low-rank adapters on the attention layers, the U-Net frozen"
    paper: ClassVar[str] = "arXiv 2106.09685 (ICLR 2022); against memorization arXiv 2410.22149"
    needs: ClassVar[tuple[tuple[str, str], ...]] = (("peft", INSTALL),)

    rank: int = 8
    alpha: float = 8.0
    targets: tuple[str, ...] = ATTENTION

    def __post_init__(self) -> None:
        integer("rank", self.rank, 1)
        positive("alpha", self.alpha)
        object.__setattr__(self, "targets", module_names(self.targets))

    def check(self, ctx: Context) -> None:
        """Whether the backbone's U-Net has the targets; see ``check_targets``."""
        check_targets(ctx.backbone.unet, self.targets)

    def build(self, backbone: Backbone, stage: Stage) -> nn.Module:
        """A frozen copy of the pretrained U-Net with trainable adapters.

        Raises:
            PluginError: PEFT is not installed.
            ConfigError: see ``add_adapters``.
        """
        peft = require("peft", INSTALL)
        config = peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            target_modules=list(self.targets),
            init_lora_weights="gaussian",
        )
        return add_adapters(super().build(backbone, stage), config, self.targets)
