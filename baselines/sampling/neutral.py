"""Neutral captions, the default reference of ``nemo``: everyday things in everyday words, from no dataset."""

from __future__ import annotations

from pathlib import Path

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


def reference_captions(path: str) -> list[str]:
    """One caption a line of the file at ``path``; the shipped ones where that is empty.

    Raises:
        ConfigError: the file cannot be read as text or holds fewer than two captions.
    """
    if not path:
        return [scene.format(thing) for thing in THINGS for scene in SCENES]
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the reference captions cannot be read", where=path, got=error) from error
    captions = [line.strip() for line in lines if line.strip()]
    if len(captions) < 2:
        raise ConfigError("too few reference captions", where=path, got=len(captions), want="2 or more lines")
    return captions
