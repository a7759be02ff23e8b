"""Where subsets lie if no folder is given, and which one a run opens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from replication_bench.data.laion.manifest import read_manifest
from replication_bench.data.laion.metadata import described
from replication_bench.data.laion.request import Preparation
from replication_bench.errors import DataError
from replication_bench.store import cache_folder, write_json

PREPARE = "replbench data prepare laion-subset --metadata FILES.parquet"


def home() -> Path:
    """The folder of subsets in the cache."""
    return cache_folder() / "datasets" / "laion-subset"


def folder_for(asked: Preparation, given: Path | None) -> Path:
    """The subset's own folder in the cache: one for each request, or each manifest; else the newest subset.

    Raises:
        DataError: metadata or a manifest that cannot be read, or nothing that names a subset.
    """
    key: list[Any]
    if given:
        key = [row.url for row in read_manifest(given).rows]
    elif asked.metadata:
        key = [asked.identity, described(asked.metadata)]
    else:
        return newest()
    return home() / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def pointer() -> Path:
    """The file that names the folder of the newest subset on this machine."""
    return home() / "newest.json"


def remember(folder: Path) -> None:
    """Make ``folder`` the subset that the dataset opens without a path."""
    write_json(pointer(), {"folder": str(folder.resolve())})


def newest() -> Path:
    """The subset that was prepared last.

    Raises:
        DataError: none was.
    """
    try:
        return Path(json.loads(pointer().read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = (
            f"Run '{PREPARE}', or 'replbench run' with --prepare --metadata FILES.parquet; the dataset 'openmoji' "
            "needs no preparation."
        )
        raise DataError("no subset of LAION is prepared on this machine", hint=hint) from error
