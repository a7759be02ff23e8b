"""Other captions to train with: ``gc``, one that is more general; ``mc``, one of several at every draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from baselines.lexicon.generalise import alternatives, generalise
from baselines.lexicon.generality import Generality, generality
from baselines.text.captions import PAPER
from baselines.text.files import Recaptioned
from replication_bench.data.example import Example, Examples
from replication_bench.errors import DataError, ReplbenchError
from replication_bench.method import Context, Reported
from replication_bench.results import Measurement

Facts = tuple[Measurement, ...]
SCORES = ("generality", "specificity", "broadness", "tense_modality", "abstraction")
NOTE = "near the source's score: words are read with textblob instead of spaCy and NLTK models"


def or_say(make: Callable[[str], tuple[str, ...]], method: str) -> Callable[[str], tuple[str, ...]]:
    """``make``, with the other way out where what it needs is not installed."""

    def attempt(caption: str) -> tuple[str, ...]:
        try:
            return make(caption)
        except DataError as error:
            hint = f"Or give captions: --set methods.{method}.captions=FILE."
            raise DataError(f"{method} has no captions for this dataset: {error}", hint=hint) from error

    return attempt


def as_scores(score: Generality) -> dict[str, float]:
    """The mean and its four parts by name."""
    return {"generality": score.mean, **asdict(score)}


def generality_facts(captions: list[str]) -> Facts:
    """Mean scores over captions, or why there are none."""
    try:
        rows = [as_scores(generality(caption)) for caption in captions]
    except ReplbenchError as error:
        return tuple(Measurement(name=name, value=None, reason=str(error), unit="0 to 10") for name in SCORES)
    return tuple(
        Measurement(
            name=name,
            value=float(np.mean([row[name] for row in rows])),
            n=len(rows),
            unit="0 to 10",
            note=NOTE,
        )
        for name in SCORES
    )


@dataclass(frozen=True)
class GeneralisedCaptions(Recaptioned):
    """GC: training captions are replaced by general ones of at most five words; prompts stay as they are."""

    summary: ClassVar[str] = (
        "generalised captions: training captions that say only what kind of thing is shown"
    )
    paper: ClassVar[str] = "arXiv 2309.07254 (ICASSP 2024)"
    shipped: ClassVar[str] = "general"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            "reduction of replication by captions of at most 5 words",
            32.18,
            "%",
            "SD 2.1, LAION, other protocol",
            "arXiv 2309.07254, as summarised by third parties",
        ),
    )

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The training set with general captions.

        Raises:
            DataError: the file lacks images, or WordNet is needed and not installed.
        """
        return self.recaption(data, or_say(lambda caption: (generalise(caption),), "gc"))

    def facts(self, facts: Facts, data: Examples, ctx: Context) -> Facts:
        """The generality of the captions that were trained on."""
        return (*facts, *generality_facts([example.captions[0] for example in data]))


def with_more(example: Example, other: Example) -> Example:
    """The example with the captions of ``other`` after its own, each once."""
    return example.with_captions(tuple(dict.fromkeys((*example.captions, *other.captions))))


@dataclass(frozen=True)
class MultipleCaptions(Recaptioned):
    """MC: every draw takes one of all captions of the image, uniformly.

    The captions of a file are added to the dataset's own. Without a file, a dataset that has several captions an image
    is left as it is.
    """

    summary: ClassVar[str] = "multiple captions: each draw of an image takes one of all its captions"
    paper: ClassVar[str] = PAPER
    shipped: ClassVar[str] = "several"

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The training set with several captions an image.

        Raises:
            DataError: the file lacks images, or WordNet is needed and not installed.
        """
        if not self.captions and any(len(example.captions) > 1 for example in data):
            return data
        others = self.recaption(data, or_say(alternatives, "mc"))
        return Examples(tuple(map(with_more, data, others)))

    def caption(self, text: str, example: Example, rng: np.random.Generator) -> str:
        """One of the captions; a text that a part before has changed stands."""
        drawn = example.captions[int(rng.integers(len(example.captions)))]
        return drawn if text == example.captions[0] else text

    def facts(self, facts: Facts, data: Examples, ctx: Context) -> Facts:
        """How many captions an image had."""
        mean = float(np.mean([len(example.captions) for example in data]))
        return (*facts, Measurement(name="captions_per_image", value=mean, n=len(data), unit="count"))
