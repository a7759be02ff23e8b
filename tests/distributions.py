"""Distributions of other people: built and installed by pip without a network, or laid out as an installer would."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replication_bench import plugins

COMMAND = (sys.executable, "-m", "replication_bench.cli")


def install(source: Path, target: Path) -> Path:
    """Install a copy of the project in ``source`` into ``target``, which is returned; nothing is downloaded."""
    copy = target.parent / f"{target.name}-source"
    shutil.copytree(source, copy)  # a build leaves files behind
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    )
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(target), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def lay_out(site: Path, name: str, module: str, source: str, entries: str, version: str = "1.0") -> None:
    """What an installer leaves of a distribution with one module: the module and its metadata."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")


@contextmanager
def visible(site: Path, *names: str) -> Iterator[None]:
    """In this process, the distributions called ``names`` in ``site`` are seen beside replbench's own."""
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("REPLBENCH_PLUGINS", ",".join(("replbench", *names)))
        importlib.invalidate_caches()
        plugins.available.cache_clear()
        yield
    plugins.available.cache_clear()
    for module in set(sys.modules) - known:
        if str(getattr(sys.modules[module], "__file__", None)).startswith(str(site)):
            del sys.modules[module]


def replbench(*arguments: str, site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own that sees the distributions in ``site`` beside all that is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "REPLBENCH_PLUGINS"}
    environment["PYTHONPATH"] = str(site)
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
