"""Training captions perturbed with a probability at every draw: ``rc``, ``cwr``, ``rwa``, ``rna``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from baselines.text import perturb
from baselines.text.words import Pooled
from replication_bench.data.example import Example
from replication_bench.method import Method
from replication_bench.ranges import integer, probability

PAPER = "arXiv 2305.20086 (NeurIPS 2023)"


@dataclass(frozen=True)
class Sometimes(Method):
    """A caption is perturbed with probability ``p``, anew at every draw.

    Attributes:
        p: probability, in [0, 1].
        n: inserted words, or the length of the new caption.

    Raises:
        ConfigError: a value out of range.
    """

    paper: ClassVar[str] = PAPER
    p: float = 0.1
    n: int = 2

    def __post_init__(self) -> None:
        probability("p", self.p)
        integer("n", self.n, 1)

    def perturbed(self, text: str, rng: np.random.Generator) -> str:
        """The perturbed caption."""
        raise NotImplementedError

    def caption(self, text: str, example: Example, rng: np.random.Generator) -> str:
        """The caption or, with probability ``p``, the perturbed one."""
        return self.perturbed(text, rng) if rng.random() < self.p else text


@dataclass(frozen=True)
class CaptionWordRepetition(Sometimes):
    """CWR: with probability ``p``, ``n`` words of the caption are repeated at random places."""

    summary: ClassVar[str] = "caption word repetition: words of some captions are repeated at random places"

    def perturbed(self, text: str, rng: np.random.Generator) -> str:
        """The caption with repeated words."""
        return perturb.repeat_words(text, self.n, rng)


@dataclass(frozen=True)
class RandomNumbers(Sometimes):
    """RNA while training: with probability ``p``, ``n`` random numbers are inserted."""

    summary: ClassVar[str] = "random numbers are inserted into some captions"

    def perturbed(self, text: str, rng: np.random.Generator) -> str:
        """The caption with random numbers."""
        return perturb.add_numbers(text, self.n, rng)


@dataclass(frozen=True)
class PooledSometimes(Sometimes, Pooled):
    """A perturbation with random words; the parameters of both bases."""

    def __post_init__(self) -> None:
        Sometimes.__post_init__(self)
        Pooled.__post_init__(self)


@dataclass(frozen=True)
class RandomWords(PooledSometimes):
    """RWA: with probability ``p``, ``n`` random words are inserted."""

    summary: ClassVar[str] = "random words are inserted into some captions"

    def perturbed(self, text: str, rng: np.random.Generator) -> str:
        """The caption with random words."""
        return perturb.add_words(text, self.n, rng, self.pool)


@dataclass(frozen=True)
class RandomCaption(PooledSometimes):
    """RC: with probability ``p``, ``n`` random words replace the caption."""

    summary: ClassVar[str] = "random caption replacement: random words in place of some captions"
    n: int = 4

    def perturbed(self, text: str, rng: np.random.Generator) -> str:
        """Random words."""
        return perturb.replace_text(text, self.n, rng, self.pool)
