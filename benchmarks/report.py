"""How long a report of many runs takes, and how large it is.

    python benchmarks/report.py [RUNS [MATCHES [SIDE]]]

Makes RUNS (20) runs of MATCHES (10,000) generated images each and builds their report with every image shown. The
images have SIDE (256) pixels and are as detailed as photographs, since drawn ones compress to nothing. The limits are
60 seconds on two cores and 25 MB.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reports"))

from run_folders import matches_of, result_of, write_run

from replication_bench.data.folder import Folder
from replication_bench.testing.tiny import planted_folder
from reports.report import Report

TRAIN, UNLIKE = 2000, 300


def detailed(rng: np.random.Generator, side: int) -> Image.Image:
    """Clouds whose spectrum falls like that of photographs, so that they compress like one."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequencies[0, 0] = 1
    noise = np.fft.fft2(rng.normal(size=(3, side, side)))
    clouds = np.real(np.fft.ifft2(noise / frequencies**1.1))
    clouds = (clouds + clouds.mean(axis=0)) / clouds.std()
    return Image.fromarray((128 + 40 * clouds).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def draw(paths: Sequence[Path], side: int) -> None:
    """``UNLIKE`` pictures in turn under these names."""
    rng = np.random.default_rng(0)
    for index, path in enumerate(paths):
        path.unlink(missing_ok=True)
        if index < UNLIKE:
            detailed(rng, side).save(path, compress_level=1)
        else:
            os.link(paths[index % UNLIKE], path)


def make_runs(root: Path, runs: int, count: int, side: int) -> Path:
    """Half as many methods as runs, two seeds each; all runs share the samples of one."""
    planted_folder(root / "data", TRAIN, duplicates=100)
    draw(sorted((root / "data").glob("*.png")), side)
    train = [(example.id, example.captions[0]) for example in Folder(path=str(root / "data")).load().train]
    first: Path | None = None
    for index in range(runs):
        method, seed = f"m{index // 2}" if index > 1 else "none", index % 2
        matches = matches_of(method, seed, train, count)
        result = result_of(method, seed, matches, root / "data").model_copy(update={"id": f"run-{index}"})
        folder = write_run(root / "runs" / f"run-{index}", result, matches, pictures=False)
        if first is None:
            first = folder
            (folder / "samples").mkdir()
            draw([folder / "samples" / f"{name}.png" for name in sorted(set(matches["generated"]))], side)
        else:
            os.symlink(first / "samples", folder / "samples")
    return root / "runs"


def main() -> None:
    """Print seconds, megabytes, and the memory that was needed."""
    runs, count, side = (int(text) for text in (*sys.argv[1:4], *("20", "10000", "256")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = make_runs(root, runs, count, side)
        start, processor = time.monotonic(), time.process_time()
        page = Report().build([made], root / "report", show_training_images=True)[0]
        seconds, used = time.monotonic() - start, time.process_time() - processor
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{runs} runs x {count:,} matches of {side} px: {seconds:.1f} s ({used:.1f} s of processor time), ",
            end="",
        )
        print(f"page {page.stat().st_size / 1e6:.1f} MB, {memory:,.0f} MB of memory")


if __name__ == "__main__":
    main()
