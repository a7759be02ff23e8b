"""Perturbations of a text, each a pure function ``(text, n, rng) -> text`` for captions and prompts alike.

They follow Somepalli et al. (arXiv 2305.20086), as coded in somepago/DCR ``datasets.py`` and ``diff_inference.py``:
words are what single spaces separate, and each inserted word falls uniformly into one of the gaps there are at that
moment, both ends included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

NUMBERS = 100_000


def insert(text: str, words: Iterable[str], rng: np.random.Generator) -> str:
    """``text`` with each of ``words`` in a random gap, one after the other."""
    parts = text.split(" ") if text else []
    for word in words:
        parts.insert(int(rng.integers(len(parts) + 1)), word)
    return " ".join(parts)


def draw(pool: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """``n`` of ``pool``, uniformly and with replacement."""
    return [pool[int(index)] for index in rng.integers(len(pool), size=n)]


def repeat_words(text: str, n: int, rng: np.random.Generator) -> str:
    """``text`` with ``n`` repeats of its own words, drawn with replacement; an empty text stays empty."""
    return insert(text, draw(text.split(" "), n, rng), rng) if text else text


def add_numbers(text: str, n: int, rng: np.random.Generator) -> str:
    """``text`` with ``n`` random integers from 0 to 99,999."""
    return insert(text, [str(number) for number in rng.integers(NUMBERS, size=n)], rng)


def add_words(text: str, n: int, rng: np.random.Generator, pool: Sequence[str]) -> str:
    """``text`` with ``n`` random words of ``pool``."""
    return insert(text, draw(pool, n, rng), rng)


def replace_text(text: str, n: int, rng: np.random.Generator, pool: Sequence[str]) -> str:
    """``n`` random words of ``pool`` in place of ``text``."""
    return " ".join(draw(pool, n, rng))
