"""``replbench run``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from replication_bench import machine, plugins
from replication_bench.commands.prepare import Request as Preparation
from replication_bench.commands.prepare import prepare_first
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.config import RunConfig
from replication_bench.optimisers import check_optimiser
from replication_bench.pipeline import Run
from replication_bench.processes import ALONE, Processes, joined
from replication_bench.processes.agreement import check_same
from replication_bench.processes.launch import check_recipe
from replication_bench.progress import NAME, Recorder
from replication_bench.resolve import Request, resolve_runs
from replication_bench.results import Result
from replication_bench.sampling import check_steps
from replication_bench.store import check_writable
from replication_bench.sweep import swept
from replication_bench.tracking import Tracked, check_tracker
from replication_bench.trained.origin import open_origin
from replication_bench.workbench import Workbench

Resolve = Callable[[Request], tuple[list[RunConfig], str]]


def execute(
    request: Request, out: Path, console: Console, track: str = "none", processes: Processes = ALONE
) -> tuple[list[tuple[Run, Result]], str]:
    """Run every configuration that has no result yet.

    Raises:
        ReplbenchError: before any training where the input is at fault.
    """
    check_tracker(track)
    origin = None if request.origin is None else open_origin(Path(request.origin))
    configs, reference = resolve_all(request, resolve_runs if origin is None else origin.resolve)
    for config in configs:
        check_optimiser(config.train)
    check_writable(out)
    bench = Workbench(configs[0], processes=processes)
    if origin is not None:
        origin.check(bench)
    progress = new_progress(console, processes.is_main)
    runs = [Run(config, bench, out, Bars(progress)) for config in configs]
    for run in runs:
        make_ready(run, lent=origin is not None)
        if origin is not None and processes.first(run.finished) is None:
            processes.first(partial(origin.lend, run))
    done = []
    with progress:
        for run in runs:
            done.append((run, watched(run, asdict(request), track)))
            if processes.is_main:
                draw_pairs(run, done[-1][1])
    return done, reference


def make_ready(run: Run, lent: bool = False) -> None:
    """Everything that can be refused is refused here, before the first run of a command trains.

    Args:
        run: the run.
        lent: its weights are those of ``--from``.
    """
    processes = run.bench.processes
    check_same(processes, run.id, run.bench.device, run.precision)
    run.jobs()
    check_steps(run.bench.backbone, run.config.sample)
    if processes.first(run.finished) is None:
        with processes.main_first():
            run.prepare()
        run.method.check(run.context)
        if not lent and processes.first(run.trains):
            check_recipe(run.config.train, run.precision)


def resolve_all(request: Request, resolve: Resolve = resolve_runs) -> tuple[list[RunConfig], str]:
    """The configurations of every value of a sweep, each once, and the reference's name.

    Raises:
        ReplbenchError: the input is at fault.
    """
    found = [resolve(one) for one in swept(request)]
    configs = [config for members, _ in found for config in members]
    return [config for i, config in enumerate(configs) if config not in configs[:i]], found[0][1]


def watched(run: Run, passed: dict[str, Any], track: str) -> Result:
    """Execute one run; what it tells goes into its folder, and to a tracker where one is asked for."""
    if run.finished() is not None or not run.bench.processes.is_main:
        return run.execute(passed)
    run.folder.mkdir(parents=True, exist_ok=True)
    run.watch = Recorder(run.folder / NAME, run.watch)
    if track == "none":
        return run.execute(passed)
    tracked = run.watch = Tracked(track, run.id, run.out / track, run.config.recorded(), run.watch)
    result = run.execute(passed)
    tracked.finish(result, run.folder / "samples")
    return result


def draw_pairs(run: Run, result: Result) -> None:
    """The sheet of the closest pairs, where a reporter of that name is installed."""
    if "pairs" not in plugins.available("reporters") or (run.folder / "pairs.png").exists():
        return
    train = {example.id: example for example in run.bench.splits.train}
    reporter = plugins.load("reporters", "pairs")()
    reporter.draw(result, run.folder, lambda name: run.bench.view(train[name]), run.config.measure.pairs)


def run(
    request: Request,
    out: Path,
    as_json: bool,
    track: str = "none",
    preparation: Preparation | None = None,
) -> None:
    """Prepare the dataset where that is asked for, run, then print one table, or one array of results."""
    machine.keep_freed_memory()
    console = Console(stderr=True)
    with joined(machine.choose_device()) as processes, processes.together():
        if preparation is not None:
            processes.first(partial(prepare_first, preparation, console))
        done, reference = execute(request, out, console, track, processes)
    if processes.is_main:
        show(done, reference, as_json)


def show(done: list[tuple[Run, Result]], reference: str, as_json: bool) -> None:
    """Print one table and the runs' folders, or one array of results."""
    results = [result for _, result in done]
    if as_json:
        sys.stdout.write(json.dumps([result.model_dump(mode="json") for result in results], indent=1) + "\n")
        return
    console = Console()
    if "table" in plugins.available("reporters"):
        console.print(plugins.load("reporters", "table")().show([run.folder for run, _ in done], reference))
    for run, _ in done:
        console.print(str(run.folder), style="dim", highlight=False)
