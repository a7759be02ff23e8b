"""Prompts perturbed before sampling: ``prompt-rt``, ``prompt-cwr``, ``prompt-rna``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from baselines.text import perturb
from baselines.text.captions import PAPER
from baselines.text.words import Pooled
from replication_bench.method import Method, Reported
from replication_bench.ranges import integer

AMG = "SD 1.4, LAION, DDIM 50, other protocol; rerun by the authors of AMG"


def rerun(top5: float, fid: float, clip: float) -> tuple[Reported, ...]:
    """A row of Table 1 of arXiv 2404.00922, a rerun of these methods; plain sampling: .91, 106.41, 28.04."""
    source = "arXiv 2404.00922 Table 1"
    return (
        Reported("similarity of the top 5 %", top5, "cosine", AMG, source),
        Reported("FID", fid, "squared distance", AMG, source),
        Reported("CLIP score", clip, "x100", AMG, source),
    )


@dataclass(frozen=True)
class Perturbed(Method):
    """Every prompt is perturbed once.

    Attributes:
        n: inserted words; 2 in the source's script for fine-tuned models, 4 in its script for SD 1.4.

    Raises:
        ConfigError: a value out of range.
    """

    paper: ClassVar[str] = PAPER
    kind: ClassVar[Literal["train", "sample"]] = "sample"
    n: int = 2

    def __post_init__(self) -> None:
        integer("n", self.n, 1)


@dataclass(frozen=True)
class PromptRandomWords(Perturbed, Pooled):
    """RT, also called RWA: ``n`` random words are inserted into every prompt."""

    summary: ClassVar[str] = "random words are inserted into every prompt"
    reported: ClassVar[tuple[Reported, ...]] = rerun(0.61, 101.69, 22.63)

    def __post_init__(self) -> None:
        Perturbed.__post_init__(self)
        Pooled.__post_init__(self)

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt with random words."""
        return perturb.add_words(text, self.n, rng, self.pool)


@dataclass(frozen=True)
class PromptWordRepetition(Perturbed):
    """CWR: ``n`` words of every prompt are repeated at random places."""

    summary: ClassVar[str] = "words of every prompt are repeated at random places"
    reported: ClassVar[tuple[Reported, ...]] = rerun(0.79, 96.25, 25.96)

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt with repeated words."""
        return perturb.repeat_words(text, self.n, rng)


@dataclass(frozen=True)
class PromptRandomNumbers(Perturbed):
    """RNA: ``n`` random numbers are inserted into every prompt."""

    summary: ClassVar[str] = "random numbers are inserted into every prompt"
    reported: ClassVar[tuple[Reported, ...]] = (
        *rerun(0.75, 99.68, 23.37),
        Reported(
            "95th percentile of similarity",
            0.556,
            "cosine",
            "SD 2.1 fine-tuned on LAION, other protocol",
            "the paper's value as quoted in somepago/DCR issue 8",
        ),
    )

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt with random numbers."""
        return perturb.add_numbers(text, self.n, rng)
