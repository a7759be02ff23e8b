"""How well the shipped model finds the caption of a picture that it never saw.

``openmoji``: the held-out drawings. ``stamps``: the held-out stamps, of a set that the model never saw at all. The
numbers are shares of pictures whose own caption is the nearest of all captions of the set, and among the ten nearest.
"""

from __future__ import annotations

import numpy as np

from replication_bench.data.example import Examples
from replication_bench.data.openmoji import OpenMoji
from replication_bench.data.stamps import Stamps
from replication_bench.embedders.pocket import PocketClip
from replication_bench.errors import DataError


def places(embedder: PocketClip, examples: Examples) -> tuple[np.ndarray, int]:
    """How many other captions are nearer than the own one, int [n]; equal captions are one. And their number."""
    captions = [example.captions[0] for example in examples]
    distinct = list(dict.fromkeys(captions))
    images = embedder([example.load() for example in examples])
    similarity = images @ embedder.texts(distinct).T
    own = similarity[np.arange(len(captions)), [distinct.index(caption) for caption in captions]]
    return (similarity > own[:, None]).sum(1), len(distinct)


def report(name: str, embedder: PocketClip, examples: Examples) -> None:
    place, count = places(embedder, examples)
    shares = ", ".join(f"R@{k} {(place < k).mean():.3f} (chance {k / count:.3f})" for k in (1, 10))
    print(
        f"{name}: {len(examples)} pictures, {count} captions: {shares}, median place {np.median(place) + 1:.0f}"
    )


def evaluate() -> None:
    embedder = PocketClip()
    report("openmoji held out", embedder, OpenMoji(192).load().heldout)
    report("openmoji train (private)", embedder, OpenMoji(192).load().train)
    try:
        report("stamps held out", embedder, Stamps(192).load().heldout)
    except DataError as error:
        print(f"stamps: {error}")
