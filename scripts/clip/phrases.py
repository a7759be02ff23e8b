"""The phrases that the text tower learns: public names, common words, ImageNet's class names, and combinations.

No private or held-out name is among the captions that pictures are shown with, because only public pictures are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clip import teacher

TEMPLATES = ("a {}", "the {}", "a drawing of {}", "a drawing of a {}", "a picture of a {}", "an icon of {}")
WORDS = 14_000
COMBINED = 9_000
DROPPED = 2


def class_names() -> list[str]:
    """ImageNet's 1,000 class names in the order of a classifier's outputs."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return list(_IMAGENET_CATEGORIES)


def with_words_dropped(caption: str, rng: np.random.Generator) -> str:
    """The caption without each word with probability 0.3; never empty."""
    words = caption.split()
    kept = [word for word in words if rng.random() > 0.3]
    return " ".join(kept or words[:1])


def combination(rng: np.random.Generator, words: Sequence[str], things: Sequence[str]) -> str:
    """``red kangaroo`` or ``kangaroo and clock``."""
    first, second = words[rng.integers(len(words))], things[rng.integers(len(things))]
    if rng.random() < 0.5:
        return f"{first} {second}"
    return f"{things[rng.integers(len(things))]} {('and', 'with', 'on a')[rng.integers(3)]} {second}"


def collect(captions: Sequence[str], seed: int) -> list[str]:
    """Distinct phrases; the captions come first, in order, then the class names."""
    rng = np.random.default_rng(seed)
    words, names = teacher.common_words(WORDS), class_names()
    things = [*captions, *names]
    dropped = [with_words_dropped(caption, rng) for caption in captions for _ in range(DROPPED)]
    combined = [combination(rng, words[:5000], things) for _ in range(COMBINED)]
    return list(dict.fromkeys([*captions, *names, *words, *dropped, *combined]))


def templated(phrases: Sequence[str], seed: int) -> list[str]:
    """Each phrase in a random template: it means the same."""
    rng = np.random.default_rng(seed)
    return [TEMPLATES[rng.integers(len(TEMPLATES))].format(phrase) for phrase in phrases]
