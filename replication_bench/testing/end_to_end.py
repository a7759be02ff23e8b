"""A method through the whole pipeline: trained, sampled and measured on pictures, recorded in a result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from PIL import Image

from replication_bench import plugins
from replication_bench.commands.run import make_ready
from replication_bench.config import MeasureConfig, NamedOptions, RunConfig, SampleConfig, TrainConfig
from replication_bench.data.example import Embed, Examples, Splits
from replication_bench.errors import ReplbenchError
from replication_bench.pipeline import Run
from replication_bench.resolve import build_method
from replication_bench.results import Result, read_result
from replication_bench.testing.case import ROWS, CannotCheck, Case, example, expect
from replication_bench.workbench import Workbench

NAME = "under-test"
TRAIN = TrainConfig(budget=2 * ROWS, batch_size=ROWS, warmup_images=0, precision="fp32")
SAMPLE = SampleConfig(samples=2, steps=2, batch_size=2)
MEASURE = MeasureConfig(embedder="pixels", bootstrap=0)  # needs no weights


@dataclass(frozen=True)
class AtHand(plugins.Plugin):
    """A plug-in that is not installed: its target is at hand."""

    attribute: Any = None

    def load(self) -> Any:
        """The target."""
        return self.attribute


@contextmanager
def offered(kind: plugins.Kind, target: Any) -> Iterator[None]:
    """``target`` behind a door, under ``NAME``, for as long as this stands."""
    known = plugins.available(kind)
    known[NAME] = AtHand(
        kind, NAME, f"{target.__module__}:{target.__qualname__}", "not installed", "", target
    )
    try:
        yield
    finally:
        del known[NAME]


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Nothing is kept between runs: what a test computes has no place among a user's vectors."""
    before = os.environ.get("REPLBENCH_CACHE")
    os.environ["REPLBENCH_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["REPLBENCH_CACHE"]
        else:
            os.environ["REPLBENCH_CACHE"] = before


@contextmanager
def own_precision() -> Iterator[None]:
    """Accelerate keeps the first mixed precision of a process; here another may stand, and the first is put back."""
    states = (AcceleratorState._shared_state, PartialState._shared_state)
    before = [dict(state) for state in states]
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield
    finally:
        for state, values in zip(states, before, strict=True):
            state.clear()
            state.update(values)


class Pictures:
    """The pictures of ``Case`` as a dataset: private, public and held-out ones, ``ROWS`` each."""

    def load(self, embed: Embed | None = None) -> Splits:
        """See ``Dataset``."""
        train, public, heldout = (
            Examples(tuple(example(index) for index in range(start, start + ROWS)))
            for start in (0, ROWS, 2 * ROWS)
        )
        return Splits(train=train, heldout=heldout, public=public)


class Unwatched:
    """Tells nobody what a run is doing."""

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """See ``Watcher``."""
        return lambda done: None

    def loss(self, value: float) -> None:
        """See ``Watcher``."""


def run_once(case: Case, out: Path) -> tuple[Run, Result]:
    """One small run of the method on the backbone of ``case``, by way of its name and parameters, as a user's.

    Raises:
        CannotCheck: such a run is refused before it begins.
    """
    options = json.loads(json.dumps(asdict(case.method)))
    with (
        offered("methods", type(case.method)),
        offered("datasets", Pictures),
        cache_in(out / "cache"),
        own_precision(),
    ):
        config = RunConfig(
            dataset=NamedOptions(name=NAME),
            backbone=case.backbone.name,
            method=build_method(NAME, {NAME: options})[1],
            train=TRAIN,
            sample=SAMPLE,
            measure=MEASURE,
        )
        run = Run(config, Workbench(config, "cpu"), out, Unwatched())
        try:
            make_ready(run)
        except ReplbenchError as error:  # what the method needs is not here, which says nothing of the method
            raise CannotCheck(f"cannot be checked here: {error}") from error
        return run, run.execute({})


def expect_valid(run: Run, result: Result) -> None:
    """Raise CheckFailed unless ``result`` says what a result has to say, and the samples are pictures."""
    written, given = (one.model_dump(mode="json") for one in (read_result(run.result_path), result))
    expect(written == given, "result.json does not read back as the result")
    cost = result.cost
    assert cost is not None
    expect(cost.images == TRAIN.images, f"trained on {cost.images} images, want {TRAIN.images}")
    expect(cost.network_calls_per_image > 0, "no network was called while sampling")
    names = [(measured.name, measured.embedder) for measured in result.measurements]
    twice = sorted({name for name, embedder in names if names.count((name, embedder)) > 1})
    expect(not twice, f"measured twice: {', '.join(twice)}; a fact has the name of a metric")
    pictures = sorted((run.folder / "samples").glob("*.png"))
    expect(len(pictures) == SAMPLE.samples, f"{len(pictures)} samples, want {SAMPLE.samples}")
    plain = [path.name for path in pictures if of_one_colour(path)]
    expect(not plain, f"samples of one colour: {', '.join(plain)}; are the predictions finite?")


def of_one_colour(path: Path) -> bool:
    """Whether every pixel of an RGB picture is the same."""
    with Image.open(path) as image:
        return all(low == high for low, high in image.convert("RGB").getextrema())  # type: ignore[misc]
