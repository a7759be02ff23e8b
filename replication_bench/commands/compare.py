"""``replbench compare``: two runs on the same prompts and noise, image by image."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replication_bench.errors import ConfigError, DataError
from replication_bench.results import Result, read_result
from replication_bench.statistics.clusters import clusters
from replication_bench.statistics.paired import Flips, Paired, flips, paired

NEEDED = ("generated", "rank", "train", "similarity")
SAME_CONFIG = ("dataset", "backbone", "sample")
RESAMPLES = 1000


class Side(NamedTuple):
    """One run: its folder, its result where it is finished, and its nearest matches, indexed by generated id."""

    folder: Path
    result: Result | None
    matches: pd.DataFrame

    @property
    def name(self) -> str:
        """Method and seed, else the folder."""
        if self.result is None:
            return self.folder.name
        method = self.result.method.name if self.result.method else self.result.id
        return f"{method} (seed {self.result.seed})"


def read_matches(path: Path) -> pd.DataFrame:
    """The nearest match of every generated image, indexed by its id.

    Raises:
        DataError: no such file, no table of matches, or an id twice.
    """
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError as error:
        hint = "Give the folder of a finished run or audit."
        raise DataError("there are no matches", where=path, got="nothing there", hint=hint) from error
    except (OSError, ValueError) as error:
        raise DataError("the matches cannot be read", where=path, got=error) from error
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise DataError("the table holds no matches", where=path, got=f"no column {', '.join(missing)}")
    best = table[table["rank"] == 1].set_index("generated").sort_index()
    if not len(best) or not best.index.is_unique or not np.isfinite(best["similarity"]).all():
        raise DataError("the matches are damaged", where=path, want="one finite best match a generated image")
    return best


def read_side(folder: Path) -> Side:
    """A run's folder.

    Raises:
        DataError: it holds no readable matches.
    """
    result = folder / "result.json"
    return Side(
        folder, read_result(result) if result.exists() else None, read_matches(folder / "matches.parquet")
    )


def require_one_plan(a: Side, b: Side) -> None:
    """Refuse runs whose images do not belong together.

    Raises:
        ConfigError: other ids, prompts, seed, protocol, data or sampling.
    """
    hint = "Compare runs with the same recipe and the same --seed."
    if not a.matches.index.equals(b.matches.index):
        got = f"{len(a.matches)} and {len(b.matches)} images"
        raise ConfigError("the runs generated different images", got=got, want="the same ids", hint=hint)
    if "prompt" in a.matches and "prompt" in b.matches:
        unlike = np.flatnonzero((a.matches["prompt"] != b.matches["prompt"]).to_numpy())
        if len(unlike):
            got = f"{len(unlike)} unlike prompts, first that of {a.matches.index[unlike[0]]}"
            raise ConfigError("the runs have different prompts", got=got, hint=hint)
    for what, first, second in facts(a, b):
        if first != second:
            raise ConfigError(f"the runs differ in {what}", got=f"{first} and {second}", hint=hint)


def facts(a: Side, b: Side) -> list[tuple[str, Any, Any]]:
    """What must agree, where both results are there."""
    if a.result is None or b.result is None:
        return []
    first, second = a.result, b.result
    found: list[tuple[str, Any, Any]] = [
        ("seed", first.seed, second.seed),
        ("protocol", first.protocol[:12], second.protocol[:12]),
        ("data", first.dataset.fingerprint[:12], second.dataset.fingerprint[:12]),
    ]
    return found + [(key, first.config.get(key), second.config.get(key)) for key in SAME_CONFIG]


def thresholds(a: Side, b: Side) -> dict[str, float]:
    """0.5, 0.75, and the calibrated threshold where both runs have the same."""
    found = {"0.5": 0.5, "0.75": 0.75}
    values = {side.result.value("threshold") if side.result else None for side in (a, b)}
    calibrated = values.pop() if len(values) == 1 else None
    return found if calibrated is None else {**found, "calibrated": calibrated}


class Comparison(NamedTuple):
    """Paired differences by statistic, and flips by threshold."""

    statistics: dict[str, Paired]
    flips: dict[str, Flips]


def compare(a: Side, b: Side, seed: int = 0, resamples: int = RESAMPLES) -> Comparison:
    """Differences of the mean, of R and of shares, and how many images changed sides.

    Raises:
        ConfigError: see ``require_one_plan``.
    """
    require_one_plan(a, b)
    first, second = (side.matches["similarity"].to_numpy(dtype=np.float64) for side in (a, b))
    limits = thresholds(a, b)
    statistics: dict[str, Callable[[Any], float]] = {
        "sim_mean": np.mean,
        "R": partial(np.percentile, q=95),
        **{f"share > {name}": partial(share, limit) for name, limit in limits.items()},
    }
    rng = np.random.default_rng(seed)
    prompts = a.matches["prompt"].tolist() if "prompt" in a.matches else [""] * len(first)
    (numbers,) = clusters(prompts)
    found = {
        name: paired(first, second, fn, rng, numbers=numbers, resamples=resamples)
        for name, fn in statistics.items()
    }
    return Comparison(found, {name: flips(first, second, at, numbers, seed) for name, at in limits.items()})


def share(limit: float, rows: Any) -> float:
    """Share of rows strictly above ``limit``."""
    return float((rows > limit).mean())


def as_table(a: Side, b: Side, found: Comparison) -> Table:
    """Differences, one line a statistic."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("statistic")
    for header in (f"A: {a.name}", f"B: {b.name}", "B - A", "95 % interval", "p"):
        narrow = header.startswith(("A: ", "B: "))  # the name may be long, the number is not
        table.add_column(Text(header), justify="right", no_wrap=not narrow)
    for name, p in found.statistics.items():
        ends = f"[{p.low:+.4f}, {p.high:+.4f}]"
        cells = (name, f"{p.a:.4f}", f"{p.b:.4f}", f"{p.difference:+.4f}", ends, f"{p.p:.3g}")
        table.add_row(*map(Text, cells))
    return table


def flip_lines(found: Comparison) -> list[str]:
    """How many images changed sides at each threshold."""
    return [
        f"above {f.threshold:.3f} ({name}): {f.to_original} turned from copy to original, {f.to_copy} back, "
        f"{f.both} copies of both, {f.neither} of none; p = {f.p:.3g}"
        for name, f in found.flips.items()
    ]


def run(folder_a: Path, folder_b: Path, seed: int, resamples: int, as_json: bool) -> None:
    """Compare and print."""
    if resamples < 1:
        raise ConfigError("too few draws", where="--bootstrap", got=resamples, want="at least 1")
    a, b = read_side(folder_a), read_side(folder_b)
    found = compare(a, b, seed, resamples)
    if as_json:
        table = {
            "a": a.name,
            "b": b.name,
            "seed": seed,
            "statistics": {name: value._asdict() for name, value in found.statistics.items()},
            "flips": {name: value._asdict() for name, value in found.flips.items()},
        }
        sys.stdout.write(json.dumps(table, indent=1, allow_nan=False) + "\n")
        return
    console = Console()
    console.print(as_table(a, b, found))
    one = next(iter(found.statistics.values()))
    console.print(Text(f"{one.n} pairs of the same prompt and noise, {one.prompts} prompts"))
    for line in flip_lines(found):
        console.print(Text(line))
