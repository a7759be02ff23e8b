"""Run folders as a run writes them, of pictures that a test draws: results, matches, anchors, samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from made_results import CLAIM, make_result
from PIL import Image

from replication_bench.data.folder import Folder
from replication_bench.results import Result
from replication_bench.store import write_json
from replication_bench.testing.tiny import picture, planted_folder

SCRIPT = "<script>window.bad = 1</script>"
IMAGE = '"><img src=x onerror="window.bad = 1">'
CENTRES = {"none": 0.62, "dual": 0.55, "loyal": 0.5}
SIDE = 32


def similarities(method: str, seed: int, count: int) -> np.ndarray:
    """Top-1 similarities; those of one seed belong to the same prompts and noise."""
    shared = np.random.default_rng([7, seed]).normal(0, 0.1, count)
    own = np.random.default_rng([len(method), sum(map(ord, method)), seed]).normal(0, 0.04, count)
    return (CENTRES.get(method, 0.58) + shared + own).clip(0, 1)


def matches_of(
    method: str, seed: int, train: Sequence[tuple[str, str]], count: int, ranks: int = 3
) -> pd.DataFrame:
    """``count`` generated images with their nearest ``ranks`` training images, (id, caption) each."""
    rows = []
    for index, value in enumerate(similarities(method, seed, count)):
        for rank in range(ranks):
            name, caption = train[(index + rank) % len(train)]
            prompt = {0: SCRIPT, 1: IMAGE}.get(index, train[index % len(train)][1])
            rows.append((f"{index:05d}", rank + 1, name, float(value) - 0.1 * rank, prompt, caption))
    return pd.DataFrame(rows, columns=["generated", "rank", "train", "similarity", "prompt", "train_caption"])


def write_run(folder: Path, result: Result, matches: pd.DataFrame, pictures: bool = True) -> Path:
    """Write one run; its R is that of its matches."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "result.json", result.model_dump(mode="json"))
    matches.to_parquet(folder / "matches.parquet", index=False)
    rng = np.random.default_rng(1)
    sets = {"floor": 0.4, "background": 0.42, "ceiling": 0.9}
    train = sorted(set(matches["train"]))
    anchors = [(name, id_, rng.normal(centre, 0.04)) for name, centre in sets.items() for id_ in train]
    pd.DataFrame(anchors, columns=["set", "id", "similarity"]).to_parquet(
        folder / "anchors.parquet", index=False
    )
    if pictures:
        draw_samples(folder / "samples", sorted(set(matches["generated"])), result.seed)
    return folder


def draw_samples(folder: Path, names: Sequence[str], seed: int) -> None:
    """One drawn picture a sample."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng([9, seed])
    for name in names:
        picture(rng, SIDE)[0].save(folder / f"{name}.png", compress_level=1)


def result_of(
    method: str, seed: int, matches: pd.DataFrame, images: Path | None = None, **changes: Any
) -> Result:
    """The result of these matches; ``images`` is the folder of its training images."""
    top1 = matches[matches["rank"] == 1]["similarity"]
    values = {"R": float(np.percentile(top1, 95)), "sim_mean": float(top1.mean())} | changes.pop("values", {})
    fields = {"paper": "arXiv 2412.01118", "reported": (CLAIM,)} if method == "loyal" else {}
    made = make_result(method, seed, values=values, **(fields | changes))
    if images is None:
        return made
    dataset = made.dataset.model_copy(update={"name": "folder", "options": {"path": str(images)}})
    return made.model_copy(update={"dataset": dataset})


def write_runs(
    root: Path, count: int = 24, seeds: Sequence[int] = (0, 1), fingerprint: str | None = None
) -> Path:
    """Runs of three methods and two seeds on a drawn set of 20 pictures; returns the folder of the runs."""
    data = root / "data"
    planted_folder(data, 20, duplicates=4, side=SIDE)
    fingerprint = fingerprint or Folder(path=str(data)).load().fingerprint
    train = [(path.name, path.with_suffix(".txt").read_text().strip()) for path in sorted(data.glob("*.png"))]
    for method in CENTRES:
        for seed in seeds:
            matches = matches_of(method, seed, train, count)
            result = result_of(method, seed, matches, data, data=fingerprint)
            result = result.model_copy(update={"id": f"made-{method}-{seed}-{fingerprint[:4]}"})
            write_run(root / "runs" / result.id, result, matches)
    return root / "runs"


def break_picture(path: Path) -> None:
    """Cut a PNG in half."""
    path.write_bytes(path.read_bytes()[:60])


def solid(path: Path) -> None:
    """Write a plain picture."""
    Image.new("RGB", (SIDE, SIDE), "red").save(path)
