"""Noise on text states and their mixing: ``gn``, ``fpan``, ``mixup`` while training, ``gni`` while sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from baselines.text.captions import PAPER
from baselines.text.prompts import rerun
from replication_bench.acceleration import sent
from replication_bench.denoiser import Denoiser
from replication_bench.method import Batch, Conditioning, Context, Encoded, Method, Reported
from replication_bench.ranges import not_negative, one_of, positive, probability

HALVES = ("cond", "both")


def noise_like(states: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal noise of the shape, dtype and device of ``states``, drawn on the generator's device."""
    return sent(torch.randn(states.shape, generator=rng, device=rng.device), states.device).to(states.dtype)


@dataclass(frozen=True)
class GaussianNoise(Method):
    """GN: ``e + std * N(0, I)`` at every step, on every token, padding included.

    Attributes:
        std: in the unit of the text states; 0 or more.

    Raises:
        ConfigError: a value out of range.
    """

    summary: ClassVar[str] = "Gaussian noise on the text states of every training step"
    paper: ClassVar[str] = PAPER
    std: float = 0.1

    def __post_init__(self) -> None:
        not_negative("std", self.std)

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """Noise on the text states."""
        return encoded._replace(cond=encoded.cond + self.std * noise_like(encoded.cond, rng))


@dataclass(frozen=True)
class TokenNoise(Method):
    """FPAN: each token of each caption gets ``std * N(0, I)`` with probability ``p``, padding included.

    Attributes:
        std: the paper's W, in the unit of the text states; 0 or more.
        p: the paper's P, in [0, 1].

    Raises:
        ConfigError: a value out of range.
    """

    summary: ClassVar[str] = "probabilistic noise on each token's text state of every training step"
    paper: ClassVar[str] = "arXiv 2505.21848"
    reported: ClassVar[tuple[Reported, ...]] = tuple(
        Reported(claim, value, "%", "SD 2.1, LAION, other protocol", "arXiv 2505.21848 abstract")
        for claim, value in (
            ("average reduction of replication against plain fine-tuning", 28.78),
            ("further than noise of constant size", 26.51),
            ("largest further reduction on top of another mitigation", 16.82),
        )
    )
    std: float = 1.7
    p: float = 0.6

    def __post_init__(self) -> None:
        not_negative("std", self.std)
        probability("p", self.p)

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """Noise on the text states of the drawn tokens."""
        cond = encoded.cond
        chosen = torch.rand(cond.shape[:2], generator=rng, device=rng.device) < self.p
        noise = noise_like(cond, rng) * sent(chosen, cond.device).unsqueeze(-1)
        return encoded._replace(cond=cond + self.std * noise)


@dataclass(frozen=True)
class Mixup(Method):
    """``w e + (1 - w) e[permutation]`` within the batch, one weight ``w ~ Beta(lam, 1)`` a step.

    Attributes:
        lam: above 0; the mean weight of a caption's own states is lam / (lam + 1).

    Raises:
        ConfigError: a value out of range.
    """

    summary: ClassVar[str] = "text states are mixed with those of another caption of the batch"
    paper: ClassVar[str] = "somepago/DCR (flag mixup_noise_lam), code of arXiv 2305.20086"
    lam: float = 1.0

    def __post_init__(self) -> None:
        positive("lam", self.lam)

    def weight(self, rng: torch.Generator) -> float:
        """A draw of Beta(lam, 1): its distribution function w ** lam, inverted."""
        uniform = torch.rand((), generator=rng, device=rng.device, dtype=torch.float64)
        return float(uniform ** (1 / self.lam))

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """Mixed text states."""
        weight, cond = self.weight(rng), encoded.cond
        others = sent(torch.randperm(len(cond), generator=rng, device=rng.device), cond.device)
        return encoded._replace(cond=weight * cond + (1 - weight) * cond[others])


@dataclass(frozen=True)
class PromptNoise(Method):
    """GNI: ``e + std * N(0, I)`` on the prompt's states, once a sample, the same at all steps.

    Attributes:
        std: in the unit of the text states; 0 or more.
        halves: ``cond``, the prompt's states; or ``both``, as published, the empty prompt's too, with other noise.

    Raises:
        ConfigError: a value out of range.
    """

    summary: ClassVar[str] = "Gaussian noise on the text states of the prompt"
    paper: ClassVar[str] = PAPER
    kind: ClassVar[Literal["train", "sample"]] = "sample"
    reported: ClassVar[tuple[Reported, ...]] = rerun(0.91, 97.81, 27.79)
    std: float = 0.1
    halves: str = "cond"

    def __post_init__(self) -> None:
        not_negative("std", self.std)
        one_of("halves", self.halves, HALVES, "choice of halves")

    def noisy(self, states: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """``states`` float [n, length, width] with noise, row i from generator i."""
        noise = [noise_like(row, rng) for row, rng in zip(states, rngs, strict=True)]
        return states + self.std * torch.stack(noise)

    def condition(
        self, states: Conditioning, denoiser: Denoiser, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Conditioning:
        """Noise on the prompt's states or on both."""
        cond = self.noisy(states.cond, rngs)
        return Conditioning(cond, self.noisy(states.uncond, rngs) if self.halves == "both" else states.uncond)
