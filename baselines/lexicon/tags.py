"""Words and their parts of speech, from the lexicon and rules that the package ``textblob`` ships."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from replication_bench.errors import DataError

HINT = "pip install 'replbench[captions]'"


class Word(NamedTuple):
    """A word or punctuation mark with its Penn Treebank tag."""

    text: str
    tag: str


@cache
def tagger() -> Any:
    """textblob's tagger that needs no download.

    Raises:
        DataError: textblob is not installed.
    """
    try:
        from textblob.en.taggers import PatternTagger
    except ImportError as error:
        raise DataError("captions are read with the package 'textblob'", hint=HINT) from error
    return PatternTagger()


def tagged(text: str) -> list[Word]:
    """The words of ``text`` in order; typographic apostrophes are taken for plain ones."""
    plain = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u2014", " - ")
    return [Word(*pair) for pair in tagger().tag(plain)]
