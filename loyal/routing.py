"""The denoisers of split and transferred networks (arXiv 2412.01118), and the pipeline component that each becomes."""

from __future__ import annotations

from torch import Tensor, nn

from loyal.route import route
from replication_bench.denoiser import UNetDenoiser
from replication_bench.errors import ConfigError


class Routed(nn.Module):
    """A denoiser that sends each row to ``front`` where t < tau, else to ``tail``.

    Args:
        front: denoiser of the timesteps [0, tau).
        tail: denoiser of the timesteps [tau, T).
        tau: the first timestep of the noisy stage.
    """

    def __init__(self, front: nn.Module, tail: nn.Module, tau: int):
        super().__init__()
        self.front, self.tail, self.tau = front, tail, tau

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``; ``t`` is int64 [n] or [], and a network without rows is not called."""
        return route((self.front, self.tail), (0, self.tau), x_t, t, cond)

    def component(self) -> nn.Module:
        """Both U-Nets as one, see ``Exportable``.

        Raises:
            ConfigError: they are routed already, as a backbone may be.
        """
        from loyal.routed_unet import RoutedUNet

        parts: list[UNetDenoiser] = [self.front, self.tail]  # type: ignore[list-item]
        if any(isinstance(part.unet, RoutedUNet) for part in parts):
            raise ConfigError("networks that are routed already cannot be exported as parts of a routed one")
        return RoutedUNet.of([part.unet for part in parts], (0, self.tau))


class Whole(UNetDenoiser):
    """One U-Net with transfer blocks for all timesteps; as a component it needs the class that knows them."""

    def component(self) -> nn.Module:
        """See ``Exportable``."""
        from loyal.routed_unet import RoutedUNet

        return RoutedUNet.of([self.unet], (0,))
