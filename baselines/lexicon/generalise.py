"""Generalised captions without a language model: the noun that a caption is about, and a word for what kind it is.

The paper (arXiv 2309.07254) asks a language model for an extremely general caption of few words. Here the caption's
noun climbs WordNet until it covers ``BREADTH`` kinds of things and is a word that people use: "A Sumatran tiger" ->
"an animal". At most ``WORDS`` words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from baselines.lexicon.tags import Word, tagged
from baselines.lexicon.wordnet import Synset, WordNet, installed

BREADTH, USES, WORDS, OTHERS = 100, 4, 5, 4
NOTHING = "an image"  # the paper's baseline gives this caption to every image (DCR, nolevel)
COLLOCATION = 5
# what ends a noun phrase: conjunctions, prepositions, pronouns, determiners, modals, wh-words, punctuation
BORDERS = ("CC", "IN", "TO", "PRP", "DT", "MD", "W", "EX", "UH", ",", ".", ":", "(", ")", '"', "-")
SENTENCE = 4  # from more words than this, a bare verb is taken for one; "oil drum" and "fly" are names
# words that hold, count or show what the caption is about
LIGHT = frozenset(
    [
        "pair",
        "couple",
        "bunch",
        "set",
        "group",
        "lot",
        "part",
        "piece",
        "kind",
        "type",
        "glass",
        "bowl",
        "cup",
        "pot",
        "face",
        "symbol",
        "button",
    ]
)
VAGUE = frozenset(
    ["whole", "point", "solid", "area", "unit"]
)  # WordNet's classes that say nothing in a caption
UNCOUNTED = frozenset(
    [
        "clothing",
        "food",
        "furniture",
        "art",
        "arts",
        "papers",
        "equipment",
        "machinery",
        "water",
        "weather",
        "music",
        "fabric",
        "money",
        "energy",
    ]
)


def is_noun(word: Word, words: Sequence[Word]) -> bool:
    """Whether a word is tagged as a noun, or as a bare verb where the caption is too short to be a sentence."""
    return word.tag.startswith("NN") or (word.tag.startswith("VB") and len(words) <= SENTENCE)


def phrases(words: Sequence[Word]) -> list[list[Word]]:
    """The noun phrases in order; of a possessive, only what is possessed."""
    found: list[list[Word]] = [[]]
    for word in words:
        if word.tag == "POS":
            found[-1] = []
        elif word.tag.startswith(BORDERS) or not word.text[0].isalnum():
            found.append([])
        elif (
            word.tag.startswith("VB") and (len(words) > SENTENCE or word.tag in ("VBG", "VBN")) and found[-1]
        ):
            found.append([])  # "spider | playing soccer", but "racing car"
        else:
            found[-1].append(word)
    return [phrase for phrase in found if phrase]


def collocations(words: Sequence[str]) -> Iterator[str]:
    """Runs of two and more words, the longest first, of equal length the last first."""
    for length in range(min(COLLOCATION, len(words)), 1, -1):
        for start in range(len(words) - length, -1, -1):
            yield " ".join(words[start : start + length])


def heads(words: Sequence[Word]) -> Iterator[str]:
    """Candidates for what the caption is about, the best first."""
    texts = [word.text for word in words if word.text[0].isalnum()]
    found = phrases(words)
    yield from (run for run in collocations(texts) if " of " in run)  # names such as "Statue of Liberty"
    for light in (False, True):
        for phrase in found:
            yield from collocations([word.text for word in phrase])
            nouns = [word.text for word in reversed(phrase) if is_noun(word, words)]
            yield from (noun for noun in nouns if light or noun.lower() not in LIGHT)
    yield from (word.text for word in words if len(word.text) > 1 and not word.tag.startswith(BORDERS))


def topic(caption: str, wordnet: WordNet) -> Synset | None:
    """The meaning of the noun that a caption is about; None where WordNet knows none of its words."""
    return next(filter(None, map(wordnet.pictured, heads(tagged(caption)))), None)


def way_up(synset: Synset, wordnet: WordNet) -> Iterator[Synset]:
    """The meaning and those above it, the first hypernym each, as far as a word for them is in use."""
    while True:
        word = wordnet.word(synset)
        in_use = wordnet.used(word.replace(" ", "_"), synset) >= USES
        if in_use and word not in VAGUE and len(word.split()) < WORDS:
            yield synset
        if not synset.above:
            return
        synset = wordnet.synsets[synset.above[0]]


def general(synset: Synset, wordnet: WordNet) -> Synset:
    """The first meaning on the way up that covers enough kinds; the last there is, if none does."""
    way = list(way_up(synset, wordnet)) or [synset]
    return next((above for above in way if wordnet.kinds(above, BREADTH) >= BREADTH), way[-1])


def with_article(noun: str) -> str:
    """``animal`` -> ``an animal``; words that are not counted stay bare."""
    if noun in UNCOUNTED:
        return noun
    vowel = noun[0].lower() in "aeiou" or noun.startswith(("hono", "hour", "heir"))
    return f"{'an' if vowel and not noun.lower().startswith(('uni', 'use', 'ufo', 'euro', 'one')) else 'a'} {noun}"


@cache
def generalise(caption: str) -> str:
    """A caption of at most ``WORDS`` words that says what kind of thing the caption is about.

    Raises:
        DataError: WordNet or textblob is not installed.
    """
    wordnet = installed()
    synset = topic(caption, wordnet)
    return with_article(wordnet.word(general(synset, wordnet))) if synset else NOTHING


def alternatives(caption: str) -> tuple[str, ...]:
    """Other captions, ``OTHERS`` at most, of a caption's noun: synonyms, then kinds, the most general one last.

    Raises:
        DataError: WordNet or textblob is not installed.
    """
    wordnet = installed()
    synset = topic(caption, wordnet)
    if synset is None:
        return (NOTHING,)
    synonyms = [lemma.replace("_", " ") for lemma in synset.lemmas if lemma.islower()]  # no Latin, no names
    narrow = [
        wordnet.word(above) for above in way_up(synset, wordnet) if wordnet.kinds(above, BREADTH) < BREADTH
    ]
    most = generalise(caption)
    known = (caption.lower(), f"a {caption}".lower(), most.lower())
    others = dict.fromkeys(with_article(noun) for noun in (*synonyms[:3], *narrow[:2]))
    return (*[text for text in others if text.lower() not in known][: OTHERS - 1], most)
