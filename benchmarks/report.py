"""How long a report of many runs takes, and how large it is.

    python benchmarks/report.py [RUNS [MATCHES]]

Makes RUNS (20) runs of MATCHES (10,000) generated images each, of drawn pictures, and builds their report with every
image shown. The limits are 60 seconds on two cores and 25 MB.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reports"))

from run_folders import SIDE, matches_of, result_of, write_run

from replication_bench.data.folder import Folder
from replication_bench.testing.tiny import planted_folder
from reports.report import Report

TRAIN = 2000


def make_runs(root: Path, runs: int, count: int) -> Path:
    """Half as many methods as runs, two seeds each; all runs share the samples of one."""
    planted_folder(root / "data", TRAIN, duplicates=100, side=SIDE)
    train = [(example.id, example.captions[0]) for example in Folder(path=str(root / "data")).load().train]
    first: Path | None = None
    for index in range(runs):
        method, seed = f"m{index // 2}" if index > 1 else "none", index % 2
        matches = matches_of(method, seed, train, count)
        result = result_of(method, seed, matches, root / "data").model_copy(update={"id": f"run-{index}"})
        folder = write_run(root / "runs" / f"run-{index}", result, matches, pictures=first is None)
        if first is None:
            first = folder
        else:
            os.symlink(first / "samples", folder / "samples")
    return root / "runs"


def main() -> None:
    """Print seconds, megabytes, and the memory that was needed."""
    runs, count = (int(text) for text in (*sys.argv[1:3], *("20", "10000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = make_runs(root, runs, count)
        start, processor = time.monotonic(), time.process_time()
        page = Report().build([made], root / "report", show_training_images=True)[0]
        seconds, used = time.monotonic() - start, time.process_time() - processor
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{runs} runs x {count:,} matches: {seconds:.1f} s ({used:.1f} s of processor time), ", end="")
        print(f"page {page.stat().st_size / 1e6:.1f} MB, {memory:,.0f} MB of memory")


if __name__ == "__main__":
    main()
