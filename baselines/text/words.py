"""The pool that random words are drawn from.

The source draws token ids of CLIP's vocabulary and decodes them. Captions and prompts are texts here, before any
tokenizer, so the pool is a list of texts: shipped are the most frequent 10,000 words of WordNet's sense-tagged texts.
``scripts/token_pool.py`` writes the texts of a tokenizer's ids, with which the draws are the source's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from baselines.text import pinned
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.ranges import text

SHIPPED = "words.txt"


def source(path: str) -> str:
    """The text of the pool at ``path``, or of the shipped one."""
    return pinned.read("words", path) if path else pinned.shipped(SHIPPED)


@cache
def pool(path: str, sha256: str) -> tuple[str, ...]:
    """One text a line; lines that begin with ``#`` and a space are comments. Cached by the content's hash.

    Raises:
        ConfigError: no words.
    """
    lines = (line.strip() for line in source(path).split("\n"))
    words = tuple(line for line in lines if line and not line.startswith("# "))
    if not words:
        raise ConfigError("no words", where="words", got=path, want="one word a line")
    return words


@dataclass(frozen=True)
class Pooled(Method):
    """What draws random words.

    Attributes:
        words: a file with one text a line; empty for the shipped list.
        sha256: of that file; empty to take it as it is. Always set afterwards.

    Raises:
        ConfigError: the file is missing, empty, or not the one that ``sha256`` names.
    """

    words: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        text("words", self.words)
        object.__setattr__(self, "sha256", pinned.pin("words", source(self.words), self.sha256))
        pool(self.words, self.sha256)

    @property
    def pool(self) -> tuple[str, ...]:
        """The words to draw from."""
        return pool(self.words, self.sha256)
