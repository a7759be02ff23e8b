"""img2dataset in an environment of its own: beside replbench it would downgrade pandas and webdataset."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from replication_bench.errors import DataError
from replication_bench.store import cache_folder, locked, write_json

VERSION = "1.47.0"
# what img2dataset imports and newer Pythons have dropped
PACKAGES = (f"img2dataset=={VERSION}", "standard-imghdr; python_version >= '3.13'")
READY = "ready.json"


def environment_folder() -> Path:
    """Where the environment lies."""
    return cache_folder() / "tools" / f"img2dataset-{VERSION}"


def find_img2dataset(given: str, step: Callable[[str, int], Callable[[int], None]]) -> Path:
    """The command: the given one, or that of the environment, which is made at the first use.

    Raises:
        DataError: the given one is not there, or the environment cannot be made.
    """
    if given:
        found = shutil.which(Path(given).expanduser())
        if found is None:
            raise DataError(
                "no img2dataset there", where="--img2dataset", got=given, want="an executable file"
            )
        return Path(found)
    folder = environment_folder()
    if not (folder / READY).exists():
        with locked(folder):
            if not (folder / READY).exists():
                make_environment(folder, step("install img2dataset", len(PACKAGES)))
    return folder / "venv" / "bin" / "img2dataset"


def make_environment(folder: Path, advance: Callable[[int], None]) -> None:
    """Create the environment and install into it; ``ready.json`` comes last."""
    python = folder / "venv" / "bin" / "python"
    call([sys.executable, "-m", "venv", "--clear", str(folder / "venv")])
    advance(1)
    call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
    write_json(folder / READY, {"img2dataset": VERSION})
    advance(2)


def call(command: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        DataError: it failed; told with its last line.
    """
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason given"]
        raise DataError(
            "img2dataset cannot be installed",
            where=environment_folder(),
            got=errors[-1],
            want="Python's venv and a package index that pip reaches",
            hint="Or install it elsewhere and give --img2dataset PATH.",
        )
