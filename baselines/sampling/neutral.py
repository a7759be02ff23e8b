"""Neutral captions, the default reference of ``nemo``: everyday things in everyday words, from no dataset."""

from __future__ import annotations

from baselines.text import pinned
from replication_bench.errors import ConfigError

SCENES = (
    "a photo of {}",
    "a drawing of {}",
    "a painting of {} on a white wall",
    "{} in the morning light",
    "{} seen from above",
    "an old picture of {}",
    "a close-up of {}",
    "{} and nothing else",
)
THINGS = (
    "a bicycle", "a river", "two apples", "an empty road", "a kitchen table", "a grey cat", "a wooden boat",
    "a field of wheat", "a train station", "a cup of tea", "a small house", "a snowy mountain", "an open book",
    "a brown dog", "a stone bridge", "a glass of water", "a city street", "a bowl of soup", "a flower pot",
    "a red chair", "a garden gate", "a fishing net", "a violin", "a loaf of bread", "a lamp", "a sandy beach",
    "a clock tower", "a pair of shoes", "a green hill", "a paper kite", "a market stall", "a sleeping child",
)  # fmt: skip


def reference_text(path: str) -> str:
    """The text of the file at ``path``; the shipped captions, one a line, where that is empty.

    Raises:
        ConfigError: the file cannot be read as text.
    """
    if path:
        return pinned.read("captions", path)
    return "\n".join(scene.format(thing) for thing in THINGS for scene in SCENES)


def reference_captions(path: str) -> list[str]:
    """The captions of ``reference_text``, one a line.

    Raises:
        ConfigError: the file cannot be read as text or holds fewer than two captions.
    """
    captions = [line.strip() for line in reference_text(path).splitlines() if line.strip()]
    if len(captions) < 2:
        raise ConfigError("too few reference captions", where=path, got=len(captions), want="2 or more lines")
    return captions
