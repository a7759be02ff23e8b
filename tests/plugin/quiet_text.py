"""Gaussian noise on the text states that the U-Net is trained with."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from replication_bench.errors import ConfigError
from replication_bench.method import Batch, Context, Encoded, Method


@dataclass(frozen=True)
class Quiet(Method):
    """Noise of standard deviation ``std`` on the text states.

    Raises:
        ConfigError: a negative ``std``.
    """

    summary: ClassVar[str] = "Gaussian noise on the text states of each training step"
    paper: ClassVar[str] = "where you published it"
    std: float = 0.1

    def __post_init__(self) -> None:
        if self.std < 0:
            raise ConfigError("the noise cannot be negative", where="std", got=self.std, want="0 or more")

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        noise = torch.randn(encoded.cond.shape, generator=rng, device=rng.device).to(encoded.cond)
        return encoded._replace(cond=encoded.cond + self.std * noise)
