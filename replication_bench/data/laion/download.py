"""Links to bytes by img2dataset, in attempts: each has a folder of its own, and finished shards of all of them count.

So a process that outlives a killed command cannot write into what the next one reads, and to resume is to fetch the
links that have no outcome yet.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.data.laion.request import Preparation
from replication_bench.data.webdataset import split_name
from replication_bench.errors import DataError, ReplbenchError, StoreError
from replication_bench.sources.shards import Shard, list_members
from replication_bench.store import write_atomic

SHARD = 250
POLL_SECONDS = 0.2
LOG = "img2dataset.log"
AGENT = "replbench"
# runs a command that is ended when the process that started this one ends, however that ends
TIED = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "  # PR_SET_PDEATHSIG
    "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
)
NO_SPACE = re.compile(r"No space left|Errno 28|Disk quota|Errno 122|File too large|Errno 27")


@dataclass(frozen=True)
class Fetched:
    """What came of a link: the bytes that arrived, or why there are none."""

    read: Callable[[], bytes] | None = None
    reason: str = ""


def finished_shards(folder: Path) -> Iterator[Path]:
    """The tables of all shards that img2dataset has closed: it writes a shard's statistics last."""
    for stats in sorted(folder.glob("[0-9]*/*_stats.json")):
        table = stats.with_name(stats.name.replace("_stats.json", ".parquet"))
        if table.is_file() and table.with_suffix(".tar").is_file():
            yield table


def fetched(folder: Path) -> dict[str, Fetched]:
    """The outcome of each link that has one, by id; a later attempt goes before an earlier one."""
    found: dict[str, Fetched] = {}
    for table in finished_shards(folder):
        try:
            found |= shard_outcomes(table)
        # what a full disk or a kill has damaged is fetched again
        except (OSError, pa.ArrowException, DataError):
            continue
    return found


def shard_outcomes(table: Path) -> dict[str, Fetched]:
    """The outcomes in one shard; a link whose image is not there in full has none."""
    shard = Shard(table.with_suffix(".tar"))
    images = {
        split_name(member.name)[0]: member
        for member in list_members(shard.path).found
        if not member.name.endswith((".txt", ".json"))
    }
    outcomes = {}
    for row in pq.read_table(table, columns=["id", "key", "status", "error_message"]).to_pylist():
        if row["status"] != "success":
            outcomes[row["id"]] = Fetched(reason=" ".join((row["error_message"] or row["status"]).split()))
        elif row["key"] in images:
            outcomes[row["id"]] = Fetched(partial(shard.read, images[row["key"]]))
    return outcomes


def arguments(links: Path, attempt: Path, asked: Preparation) -> list[str]:
    """What img2dataset is told: keep the bytes as they came, and respect sites that refuse."""
    options = {
        "url_list": links,
        "input_format": "parquet",
        "url_col": "url",
        "caption_col": "caption",
        "save_additional_columns": '["id"]',
        "output_format": "webdataset",
        "output_folder": attempt,
        # what is kept is what was served, so that its hash is the same on every machine
        "disable_all_reencoding": True,
        "extract_exif": False,
        "compute_hash": "sha256",
        "number_sample_per_shard": SHARD,
        "processes_count": 1,
        "thread_count": asked.threads,
        "timeout": asked.timeout,
        "user_agent_token": AGENT,
        "enable_wandb": False,
        "max_shard_retry": 0,
    }
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def download(
    rows: Sequence[dict[str, str]],
    folder: Path,
    asked: Preparation,
    command: Path,
    advance: Callable[[int], None],
) -> None:
    """Fetch ``rows`` (id, url, caption) in a new attempt below ``folder``.

    Raises:
        StoreError: the disk is full.
        DataError: img2dataset stopped before the last link; what it finished is kept.
    """
    number = len([path for path in folder.glob("[0-9]*") if path.is_dir()]) if folder.exists() else 0
    attempt, links = folder / f"{number:03d}", folder / f"links-{number:03d}.parquet"
    table = pa.Table.from_pylist(list(rows))
    write_atomic(links, lambda path: pq.write_table(table, path))
    attempt.mkdir()
    with (folder / LOG).open("wb") as log:
        status = run([str(command), *arguments(links, attempt, asked)], log, partial(watch, attempt, advance))
    missing = {row["id"] for row in rows} - fetched(folder).keys()
    if missing:
        raise stopped(folder, len(missing), len(rows), status)


def watch(attempt: Path, advance: Callable[[int], None]) -> None:
    """Tell how many links of finished shards are done."""
    done = 0
    for stats in attempt.glob("*_stats.json"):
        try:
            done += json.loads(stats.read_text(encoding="utf-8"))["count"]
        except (ValueError, OSError):  # being written
            continue
    advance(done)


def run(command: Sequence[str], log: Any, look: Callable[[], None]) -> int:
    """Run img2dataset to its end; it ends with this process, however that ends."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
    }
    environment |= {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", TIED, str(os.getpid()), *command],
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            look()
    finally:
        end_group(process)
    return process.returncode


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End img2dataset and the workers that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def stopped(folder: Path, missing: int, total: int, status: int) -> ReplbenchError:
    """Why img2dataset left links without an outcome, by its log."""
    text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    done = f"{total - missing} of {total} links have an outcome"
    free = shutil.disk_usage(folder).free
    if NO_SPACE.search(text) or free < 1 << 20:
        return StoreError(
            "the disk is full",
            where=folder,
            got=done,
            hint="Free space and run the same command: what is finished is kept.",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no output"]
    return DataError(
        "the download stopped early",
        where=folder / LOG,
        got=f"{done}; exit status {status}; last line: {lines[-1][:200]}",
        hint="Run the same command: what is finished is kept.",
    )
