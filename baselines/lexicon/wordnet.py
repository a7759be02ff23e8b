"""Nouns of WordNet from its dictionary files (format: wndb(5WN)), as Debian's package ``wordnet-base`` installs them.

NLTK reads these files only with others that Debian leaves out, and ``wn`` reads another format that no package ships;
the few relations needed here are a page.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from replication_bench.errors import DataError

FOLDER = Path("/usr/share/wordnet")
FILES = ("index.noun", "data.noun", "noun.exc", "cntlist.rev")
HINT = "apt-get install wordnet-base, or set REPLBENCH_WORDNET to a folder with WordNet's dictionary files."
# lexicographer files, lexnames(5WN), of what a picture shows: animals, artefacts, bodies, food, places, natural objects
# and phenomena, plants. Substances are left out, or a cherry would be wood and a beaver fur.
PICTURED = {5, 6, 8, 13, 15, 17, 19, 20}
# Morphy's rules for nouns, wn(1WN)
ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)


@dataclass(frozen=True)
class Synset:
    """One meaning of nouns.

    Attributes:
        offset: its place in ``data.noun``, which is its identity.
        file: number of its lexicographer file, which is its field.
        lemmas: the nouns that have it, words joined by ``_``.
        above: offsets of hypernyms; of the class, for a named instance.
        below: offsets of hyponyms, named instances left out.
        gloss: its definition, with examples.
    """

    offset: str
    file: int
    lemmas: tuple[str, ...]
    above: tuple[str, ...]
    below: tuple[str, ...]
    gloss: str


def parse(line: str) -> Synset:
    """A line of ``data.noun``."""
    fields, _, gloss = line.partition(" | ")
    parts = fields.split(" ")
    count = int(parts[3], 16)
    pointers = parts[5 + 2 * count :]
    triples = [tuple(pointers[i : i + 2]) for i in range(0, 4 * int(parts[4 + 2 * count]), 4)]
    return Synset(
        parts[0],
        int(parts[1]),
        tuple(parts[4 : 4 + 2 * count : 2]),
        tuple(offset for kind, offset in triples if kind in ("@", "@i")),
        tuple(offset for kind, offset in triples if kind == "~"),
        gloss.strip(),
    )


def lines(path: Path) -> Iterator[str]:
    """The lines of a dictionary file without its licence."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


@dataclass(frozen=True)
class WordNet:
    """The nouns.

    Args:
        folder: where the dictionary files lie.

    Raises:
        DataError: files are missing.
    """

    folder: Path

    def __post_init__(self) -> None:
        missing = [name for name in FILES if not (self.folder / name).is_file()]
        if missing:
            raise DataError("WordNet is not there", where=self.folder, got=f"no {missing[0]}", hint=HINT)

    @cached_property
    def synsets(self) -> dict[str, Synset]:
        """Every noun synset by offset."""
        return {s.offset: s for s in map(parse, lines(self.folder / "data.noun"))}

    @cached_property
    def senses(self) -> dict[str, tuple[str, ...]]:
        """Offsets of each lemma's meanings, the most frequent first."""
        found = {}
        for line in lines(self.folder / "index.noun"):
            parts = line.split()
            found[parts[0]] = tuple(parts[-int(parts[2]) :])
        return found

    @cached_property
    def exceptions(self) -> dict[str, str]:
        """Irregular plurals: ``geese`` -> ``goose``."""
        pairs = (line.split() for line in lines(self.folder / "noun.exc"))
        return {pair[0]: pair[1] for pair in pairs}

    @cached_property
    def uses(self) -> dict[tuple[str, str], int]:
        """How often a lemma stands for a meaning, by lemma and offset, in WordNet's sense-tagged texts."""
        found = {}
        for line in lines(self.folder / "cntlist.rev"):
            key, sense, count = line.split()
            lemma, _, kind = key.partition("%")
            if kind.startswith("1") and int(sense) <= len(self.senses.get(lemma, ())):
                found[lemma, self.senses[lemma][int(sense) - 1]] = int(count)
        return found

    def lemma(self, words: str) -> str | None:
        """The dictionary form of a noun, its words separated by spaces; None where WordNet has none."""
        text = words.lower().replace(" ", "_")
        forms = [text, self.exceptions.get(text, "")]
        forms += [text.removesuffix(end) + new for end, new in ENDINGS if text.endswith(end)]
        return next((form for form in forms if form in self.senses), None)

    def first(self, words: str) -> Synset | None:
        """The most frequent meaning of a noun, or None."""
        lemma = self.lemma(words)
        return self.synsets[self.senses[lemma][0]] if lemma else None

    def pictured(self, words: str) -> Synset | None:
        """A noun's most frequent meaning that a picture can show and that is no name, where ``words`` is none."""
        lemma = self.lemma(words)
        found = [self.synsets[offset] for offset in self.senses[lemma]] if lemma else []

        def strange(synset: Synset) -> tuple[bool, bool]:
            name = any(form[0].isupper() for form in synset.lemmas if form.lower() == lemma)
            return name and words.islower(), synset.file not in PICTURED

        return min(found, key=strange, default=None)

    def used(self, lemma: str, synset: Synset) -> int:
        """How often ``lemma`` stands for this meaning."""
        return self.uses.get((lemma.lower(), synset.offset), 0)

    def word(self, synset: Synset) -> str:
        """The lemma that is most often used for a meaning, in words; the first where they are used alike."""
        return max(synset.lemmas, key=lambda lemma: self.used(lemma, synset)).replace("_", " ")

    def kinds(self, synset: Synset, limit: int) -> int:
        """Number of meanings below, at any depth, counted up to ``limit``."""
        seen, queue = {synset.offset}, deque(synset.below)
        while queue and len(seen) <= limit:
            offset = queue.popleft()
            if offset not in seen:
                seen.add(offset)
                queue.extend(self.synsets[offset].below)
        return len(seen) - 1

    def depth(self, synset: Synset) -> int:
        """Length of the shortest way up to ``entity``."""
        level, seen = [synset], 0
        while all(s.above for s in level):
            level, seen = [self.synsets[o] for s in level for o in s.above], seen + 1
        return seen

    @cached_property
    def mean_depth(self) -> float:
        """The mean of ``depth`` over all noun synsets."""
        return sum(map(self.depth, self.synsets.values())) / len(self.synsets)

    @cached_property
    def hyponyms(self) -> int:
        """The sum of direct hyponyms over all noun synsets."""
        return sum(len(synset.below) for synset in self.synsets.values())


@cache
def open_folder(folder: Path) -> WordNet:
    """The WordNet in ``folder``, opened once."""
    return WordNet(folder)


def installed() -> WordNet:
    """The WordNet in ``REPLBENCH_WORDNET``, else Debian's.

    Raises:
        DataError: it is not there.
    """
    return open_folder(Path(os.environ.get("REPLBENCH_WORDNET") or FOLDER))
