"""Parquet files of links as LAION's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

Command = Callable[..., tuple[int, str, str]]
Prepare = Callable[..., tuple[int, dict[str, Any], str]]


def metadata(path: Path, urls: Sequence[str], **columns: Any) -> Path:
    """Rows that pass every filter, unless ``columns`` say otherwise; None takes a column away."""
    table: dict[str, Any] = {
        "URL": list(urls),
        "TEXT": [f"the picture behind {url.rpartition('/')[2]}" for url in urls],
        "WIDTH": 640,
        "HEIGHT": 480,
        "LANGUAGE": "en",
        "punsafe": 0.01,
        "NSFW": "UNLIKELY",
    } | columns
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({name: value for name, value in table.items() if value is not None}).to_parquet(path)
    return path
