"""Write caption files and tell how general they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from baselines.lexicon.generalise import alternatives, generalise
from baselines.lexicon.generality import Generality, generality
from baselines.text.files import digest
from replication_bench.data.example import Example
from replication_bench.store import write_atomic


def made(example: Example, several: bool) -> tuple[str, ...]:
    """New captions of an example, the most general one last."""
    caption = example.captions[0]
    return alternatives(caption) if several else (generalise(caption),)


def row(example: Example, captions: tuple[str, ...]) -> dict[str, Any]:
    """A line of a caption file."""
    texts = {"captions": list(captions)} if len(captions) > 1 else {"caption": captions[0]}
    return {"id": example.id, "of": digest(example.captions[0]), **texts}


def write(out: Path, examples: Sequence[Example], several: bool) -> dict[str, tuple[str, ...]]:
    """Write JSON lines with one general caption an image, or with several; returns captions by id.

    Raises:
        DataError: WordNet or textblob is not installed.
        StoreError: the file cannot be written.
    """
    captions = {example.id: made(example, several) for example in examples}
    rows = [row(example, captions[example.id]) for example in examples]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rows)
    write_atomic(out, lambda path: path.write_text(content, encoding="utf-8"))
    return captions


def means(captions: Sequence[str]) -> list[float]:
    """Mean generality and its four parts over captions."""
    scores = [generality(caption) for caption in captions]
    return [float(np.mean([s.mean for s in scores])), *np.mean([astuple(s) for s in scores], axis=0).tolist()]


def report(before: Sequence[str], after: Sequence[str]) -> str:
    """A small table of mean scores, from 0 to 10, of the captions before and after."""
    names = ["generality", *(field.name for field in fields(Generality))]
    rows = zip(names, means(before), means(after), strict=True)
    return "\n".join(f"{name:<15}{old:6.2f} -> {new:5.2f}" for name, old, new in rows)
