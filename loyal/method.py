"""The methods ``loyal`` and ``dual``: networks split at a timestep, with and without transfer blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from loyal.blocks import PARAMETER_FREE, Transfer
from loyal.rau_unet import add_transfer_blocks, check_skips, redrawn
from loyal.routing import Routed, Whole
from replication_bench.denoiser import Denoiser, UNetDenoiser
from replication_bench.errors import ConfigError
from replication_bench.method import Method, Reported, Stage
from replication_bench.ranges import boolean, integer, one_of

if TYPE_CHECKING:
    from replication_bench.backbone import Backbone
    from replication_bench.context import Context

SIDES = ("tail", "front", "both")


def ambient_seed() -> int:
    """A seed drawn from torch's global generator, which the harness seeds before ``build`` and ``denoiser``."""
    return int(torch.randint(2**31, ()))


@dataclass(frozen=True)
class Split(Method):
    """Two independently trained networks: ``front`` for t in [0, tau), ``tail`` for t in [tau, T).

    Attributes:
        name: what the method is called, for its errors.
        tau: the first timestep of the noisy stage.

    Raises:
        ConfigError: ``tau`` is not a positive integer.
    """

    name: ClassVar[str]
    tau: int = 500

    def __post_init__(self) -> None:
        integer("tau", self.tau, 1)

    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        """``front`` and ``tail``.

        Raises:
            ConfigError: ``tau`` leaves the tail without timesteps.
        """
        if self.tau >= num_timesteps:
            where = f"methods.{self.name}.tau"
            raise ConfigError("the tail is empty", where=where, got=self.tau, want=f"< {num_timesteps}")
        return Stage("front", 0, self.tau), Stage("tail", self.tau, num_timesteps)

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        """Rows with t < tau through the front network, the others through the tail's."""
        front, tail = modules
        return Routed(UNetDenoiser(front), UNetDenoiser(tail), self.tau)


@dataclass(frozen=True)
class Dual(Split):
    """Two plain U-Nets split at ``tau``: what is left of ``loyal`` without transfer blocks."""

    name: ClassVar[str] = "dual"
    summary: ClassVar[str] = "control: two plain U-Nets split at tau"


@dataclass(frozen=True)
class Loyal(Split):
    """LoyalDiffusion (arXiv 2412.01118): RAU-Net on the noisy timesteps, a plain U-Net on the others.

    The defaults are the published choice: convolutions on SC3 and SC4, on the tail, registered and trained.

    Attributes:
        skips: the transformed skips; a sequence or a comma-separated text of ``conv_in, SC1, SC2, SC3, SC4``.
        block: ``conv3x3, conv3x3_silu, multi_conv, max_unpool, no_skip`` or ``identity``.
        init: ``default, dirac`` or ``zero_residual``.
        trainable: whether the transfer blocks are trained.
        convs: convolutions of ``multi_conv``.
        side: the network with transfer blocks: ``tail, front`` or ``both``.
        split: two networks; ``false`` gives one RAU-Net for all timesteps, and ``tau`` is not used.
        redraw: sample with other random transfer weights than were trained around, as the research code does.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    name: ClassVar[str] = "loyal"
    summary: ClassVar[str] = "LoyalDiffusion: RAU-Net on the noisy timesteps, a plain U-Net on the others"
    paper: ClassVar[str] = "arXiv 2412.01118 (CVPR 2026)"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            claim="reduction of replication relative to the state-of-the-art mitigation",
            value=48.63,
            unit="%",
            protocol="SD 2.1, LAION, other protocol",
            source="arXiv 2412.01118 abstract",
        ),
    )

    skips: tuple[str, ...] = ("SC3", "SC4")
    block: str = "conv3x3"
    init: str = "default"
    trainable: bool = True
    convs: int = 1
    side: str = "tail"
    split: bool = True
    redraw: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "skips", self.transfer(0).skips)
        one_of("side", self.side, SIDES)
        boolean("split", self.split)
        boolean("redraw", self.redraw)
        if not self.split and self.side != "tail":
            raise ConfigError("a single network has no sides", where="side", got=self.side, want="tail")
        if self.redraw:
            self.check_redraw()

    def check_redraw(self) -> None:
        """Raise ConfigError unless there are frozen random weights to draw anew."""
        if self.trainable or self.block in PARAMETER_FREE or self.init != "default":
            raise ConfigError(
                "redraw needs frozen random transfer weights",
                got=f"block={self.block}, init={self.init}, trainable={str(self.trainable).lower()}",
                want="a convolution, init=default and trainable=false",
            )

    def transfer(self, seed: int) -> Transfer:
        """The options of the transfer blocks, with random weights from ``seed``."""
        return Transfer(self.skips, self.block, self.init, self.trainable, self.convs, seed)

    def transfers(self, stage: str) -> bool:
        """Whether the network of ``stage`` has transfer blocks."""
        return not self.split or self.side in (stage, "both")

    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        """``front`` and ``tail``, or one stage where the method is not split."""
        return super().stages(num_timesteps) if self.split else Method.stages(self, num_timesteps)

    def check(self, ctx: Context) -> None:
        """Whether the backbone's U-Net has the skips; see ``check_skips``."""
        check_skips(ctx.backbone.unet, self.transfer(0))

    def build(self, backbone: Backbone, stage: Stage) -> nn.Module:
        """A copy of the pretrained U-Net, with transfer blocks where the stage has them."""
        unet = super().build(backbone, stage)
        if not self.transfers(stage.name):
            return unet
        return add_transfer_blocks(unet, **self.transfer(ambient_seed()).options._asdict())

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        """The routed networks, or the only one; with ``redraw`` on twins that hold other transfer weights."""
        names = ("front", "tail") if self.split else ("all",)
        networks = [self.sampled(module, name) for module, name in zip(modules, names, strict=True)]
        return super().denoiser(networks) if self.split else Whole(*networks)

    def sampled(self, module: nn.Module, stage: str) -> nn.Module:
        """The network of ``stage`` as it is sampled."""
        if not (self.redraw and self.transfers(stage)):
            return module
        return redrawn(module, ambient_seed())
