"""Search against the field's usual way (full similarity matrix, full sort), and at sizes where that way ends.

    python benchmarks/search.py                  # three sizes, ratios of time and of peak memory
    python benchmarks/search.py --large          # 100,000 x 100,000, exact: minutes
    python benchmarks/search.py --million        # a gallery of 1,000,000: exact, ivf-flat, ivf-pq, with recall

Each way runs in a process of its own on the same made rows; seconds count the search, memory is the process's peak
(VmHWM) during the search, whole and above what it held before. Ratios compare ways within one run
of this script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 512
CENTRES = 4000
SPREAD = 1.5  # two rows of one centre have a similarity of 1 / (1 + SPREAD^2) = 0.31
NEAR = 0.5  # a planted copy has a similarity of 1 / sqrt(1 + NEAR^2) = 0.89 to its source
BLOCK = 20_000
GIB = 2**30


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made_rows(count: int, seed: int) -> np.ndarray:
    """Unit rows float32 [count, WIDTH] round random centres."""
    centres = unit(np.random.default_rng(0).standard_normal((CENTRES, WIDTH), dtype=np.float32))
    rng = np.random.default_rng([seed, count])
    noise = rng.standard_normal((count, WIDTH), dtype=np.float32) / np.float32(WIDTH**0.5)
    return unit(centres[rng.integers(0, CENTRES, count)] + np.float32(SPREAD) * noise)


def planted(gallery: np.ndarray, count: int) -> np.ndarray:
    """Queries: half near copies of gallery rows, half rows of the same kind that are new."""
    rng = np.random.default_rng(1)
    sources = gallery[np.sort(rng.choice(len(gallery), count // 2, replace=False))].astype(np.float32)
    noise = rng.standard_normal(sources.shape, dtype=np.float32) * np.float32(NEAR / WIDTH**0.5)
    return np.concatenate([unit(sources + noise), made_rows(count - len(sources), seed=2)])


def held(field: str) -> int:
    """A field of /proc/self/status, bytes: VmRSS is held now, VmHWM is the peak.

    ``ru_maxrss`` would be the same peak, but a process inherits it from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def peak() -> int:
    """Peak resident memory of this process, bytes, since it began or since ``forget_peak``."""
    return held("VmHWM")


def forget_peak() -> int:
    """Let the peak begin anew at what is held now (Linux, proc(5)); returns that, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return held("VmRSS")


def measured(call: Callable[[], Any]) -> dict[str, float]:
    before, start = forget_peak(), time.perf_counter()
    call()
    return {"seconds": time.perf_counter() - start, "peak": peak(), "extra": peak() - before}


def full_sort(size: int) -> dict[str, float]:
    """What the field does: every similarity at once, every row sorted."""
    import torch

    generated, train = (torch.from_numpy(made_rows(size, seed)) for seed in (1, 2))
    torch.argsort(generated[:64] @ train[:64].T, dim=1, descending=True)
    return measured(lambda: torch.argsort(generated @ train.T, dim=1, descending=True)[:, :1])


def streamed(size: int) -> dict[str, float]:
    from replication_bench.search import nearest

    generated, train = (made_rows(size, seed) for seed in (1, 2))
    nearest(generated[:64], train[:64])
    return measured(lambda: nearest(generated, train))


def write_gallery(path: Path, count: int) -> None:
    """A float16 gallery on disk, made block by block."""
    rows = np.lib.format.open_memmap(path, "w+", np.float16, (count, WIDTH))
    for number, start in enumerate(range(0, count, BLOCK)):
        rows[start : start + BLOCK] = made_rows(min(BLOCK, count - start), seed=100 + number)


def of_kind(kind: str, gallery: Path, queries: int) -> dict[str, Any]:
    """Build (the structure alone), search and recall of one kind over a gallery on disk."""
    from replication_bench.search import build_index, measured_recall

    start = time.perf_counter()
    index = build_index(gallery, gallery.parent / kind, kind)
    built, build_peak = time.perf_counter() - start, peak()
    asked = planted(np.load(gallery, mmap_mode="r"), queries)
    found = measured(lambda: index.search(asked))
    recall = measured_recall(index, asked[:: max(1, queries // 400)]) if kind != "exact" else None
    files = sum(path.stat().st_size for path in index.folder.iterdir())
    return {
        **found,
        "build_seconds": built,
        "build_peak": build_peak,
        "index_bytes": files,
        "recall": recall.value if recall else 1.0,
        "copies_found": recall.copies_found if recall else 1.0,
    }


WAYS: dict[str, Callable[..., dict[str, Any]]] = {"full": full_sort, "streamed": streamed}


def apart(way: str, *arguments: object) -> dict[str, Any]:
    """Run one way in a process of its own."""
    command = [sys.executable, __file__, "--one", way, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the way '{way}' failed with status {done.returncode}")
    return json.loads(done.stdout)


def one(way: str, arguments: list[str]) -> dict[str, Any]:
    if way in WAYS:
        return WAYS[way](int(arguments[0]))
    return of_kind(way, Path(arguments[0]), int(arguments[1]))


def compare(sizes: list[int]) -> None:
    print(
        f"{'size':>18} {'way':>9} {'seconds':>8} {'peak GiB':>9} {'extra GiB':>9} {'faster':>7} {'smaller':>8} (extra)"
    )
    for size in sizes:
        full, ours = apart("full", size), apart("streamed", size)
        name = f"{size:,} x {size:,}"
        print(
            f"{name:>18} {'full sort':>9} {full['seconds']:8.2f} {full['peak'] / GIB:9.2f} {full['extra'] / GIB:9.3f}"
        )
        print(
            f"{'':>18} {'streamed':>9} {ours['seconds']:8.2f} {ours['peak'] / GIB:9.2f} {ours['extra'] / GIB:9.3f} "
            f"{full['seconds'] / ours['seconds']:6.1f}x {full['peak'] / ours['peak']:7.1f}x "
            f"({full['extra'] / max(ours['extra'], 1):.0f}x)",
            flush=True,
        )


def large(size: int) -> None:
    found = apart("streamed", size)
    rate = 2 * size * size * WIDTH / found["seconds"] / 1e9
    print(
        f"{size:,} x {size:,} exact: {found['seconds']:.0f} s ({rate:.0f} GFLOP/s), "
        f"peak {found['peak'] / GIB:.2f} GiB, "
        f"above the rows {found['extra'] / GIB:.3f} GiB; the full matrix alone: {size * size * 4 / GIB:.0f} GiB"
    )


def gallery(count: int, queries: int, kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        write_gallery(path, count)
        print(
            f"{queries:,} queries in {count:,} rows of {WIDTH}, float16 on disk ({path.stat().st_size / GIB:.2f} GiB)"
        )
        for kind in kinds:
            found = apart(kind, path, queries)
            print(
                f"{kind:>9}: build {found['build_seconds']:.1f} s (peak {found['build_peak'] / GIB:.2f} GiB, "
                f"{found['index_bytes'] / count:.1f} bytes a row), search {found['seconds']:.2f} s "
                f"({found['seconds'] / queries * 1e3:.2f} ms a query), peak {found['peak'] / GIB:.2f} GiB, "
                f"recall@1 {found['recall']:.3f}, copies found {found['copies_found']:.3f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 8_000, 20_000])
    parser.add_argument(
        "--large", type=int, nargs="?", const=100_000, help="rows on both sides, streamed alone"
    )
    parser.add_argument("--million", type=int, nargs="?", const=1_000_000, help="rows of the gallery")
    parser.add_argument("--queries", type=int, default=1_000, help="queries with --million")
    parser.add_argument("--kinds", nargs="+", default=["exact", "ivf-flat", "ivf-pq"])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one[0], asked.one[1:])))
        return
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before the start")
    if asked.large:
        large(asked.large)
    elif asked.million:
        gallery(asked.million, asked.queries, asked.kinds)
    else:
        compare(asked.sizes)


if __name__ == "__main__":
    main()
