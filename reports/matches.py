"""The rows of ``matches.parquet``, checked, as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from replication_bench.errors import DataError
from replication_bench.results import Match

COLUMNS = tuple(name for name, field in Match.model_fields.items() if field.is_required())


def read_table(path: Path) -> pa.Table:
    """The columns of a run's ``matches.parquet`` that ``Match`` knows.

    Raises:
        DataError: the file is missing or is no parquet file.
    """
    try:
        known = [name for name in pq.read_schema(path).names if name in Match.model_fields]
        return pq.read_table(path, columns=known)
    except FileNotFoundError as error:
        raise DataError("the matches are missing", where=path, hint="Run the same command again.") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError("the matches cannot be read", where=path, got=error) from error


def read_matches(path: Path) -> pd.DataFrame:
    """The matches of a run: the columns of ``Match``, texts that it lacks empty, and ``label`` where the run has one.

    Raises:
        DataError: the file is missing or broken.
    """
    table = read_table(path).to_pandas()
    absent = [name for name in COLUMNS if name not in table.columns]
    if absent:
        raise DataError("the matches are broken", where=path, got=f"no column {absent[0]}")
    if not len(table) or not np.isfinite(table["similarity"]).all():
        raise DataError("the matches are broken", where=path, got="no rows, or a similarity of no number")
    text = {name: table[name].astype(str) for name in ("generated", "train")}
    for name in ("prompt", "train_caption"):
        text[name] = table[name].fillna("").astype(str) if name in table.columns else ""
    return table.assign(**text, rank=table["rank"].astype(int), similarity=table["similarity"].astype(float))


def top1(matches: pd.DataFrame) -> pd.DataFrame:
    """The nearest training image of each generated one, in the order of their ids."""
    first: pd.DataFrame = matches[matches["rank"] == 1].sort_values("generated", kind="stable")
    return first.reset_index(drop=True)
