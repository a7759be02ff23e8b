"""The generality score of a caption: Li et al., arXiv 2309.07254; HowardLi0816/dual-fusion-diffusion ``generality.py``.

The mean of four scores from 0 to 10. The source reads words with spaCy and NLTK models; here they are textblob's, so
the numbers are near the source's and not equal to them: a named entity is a run of proper nouns, and a verb's tense is
its tag's. Deeper nouns, which are more specific ones, score higher in ``abstraction``: so it is in the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from baselines.lexicon.tags import Word, tagged
from baselines.lexicon.wordnet import WordNet, installed

EVERYDAY_NOUNS = 30_000  # the source's number of words in daily use
PRESENT = ("VBZ", "VBP", "VBG")
BE = frozenset(
    ["be", "am", "is", "are", "was", "were", "been", "being", "'s", "'re", "'m"]
)  # no verbs to spaCy, but auxiliaries


@dataclass(frozen=True)
class Generality:
    """The four scores, each in [0, 10].

    Attributes:
        specificity: 10 without names and numerals.
        broadness: kinds that the nouns have, for each word.
        tense_modality: share of verbs in the present; 5 without verbs.
        abstraction: depth of the nouns in WordNet; 5 without nouns.
    """

    specificity: float
    broadness: float
    tense_modality: float
    abstraction: float

    @property
    def mean(self) -> float:
        """The score of the paper."""
        return float(np.mean(astuple(self)))


def scaled(value: float, middle: float) -> float:
    """[0, 2 middle] -> [0, 10], cut off outside."""
    return float(np.interp(value, (0, 2 * middle), (0, 10)))


def specificity(words: Sequence[Word]) -> float:
    """10 less the share of names and numerals."""
    named = sum(word.tag.startswith("NNP") or word.tag == "CD" for word in words)
    return 10 * (1 - named / len(words)) if words else 10.0


def tense_modality(words: Sequence[Word]) -> float:
    """10 times the share of verbs that are in the present."""
    verbs = [word for word in words if word.tag.startswith("VB") and word.text.lower() not in BE]
    return 10 * sum(verb.tag in PRESENT for verb in verbs) / len(verbs) if verbs else 5.0


def generality(caption: str, wordnet: WordNet | None = None) -> Generality:
    """The scores of a caption; an empty one names nothing and covers nothing.

    Raises:
        DataError: WordNet or textblob is not installed.
    """
    wordnet, words = wordnet or installed(), tagged(caption)
    nouns = [wordnet.first(word.text) for word in words if word.tag.startswith("NN")]
    known = [noun for noun in nouns if noun]
    depths = [wordnet.depth(noun) for noun in known]
    return Generality(
        specificity=specificity(words),
        broadness=scaled(
            sum(len(noun.below) for noun in known) / max(1, len(words)), wordnet.hyponyms / EVERYDAY_NOUNS
        ),
        tense_modality=tense_modality(words),
        abstraction=scaled(float(np.mean(depths)), wordnet.mean_depth) if depths else 5.0,
    )
