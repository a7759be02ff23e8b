"""Which rows of the metadata are left out, before anything is fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from replication_bench.data.laion.request import ANY, Preparation
from replication_bench.errors import DataError

Columns = Sequence[Any]  # arrow arrays


class Filter(NamedTuple):
    """One filter.

    Attributes:
        option: the setting that it stands for.
        reason: why a row is left out.
        needs: columns, in any case.
        passes: those columns -> a boolean for each row; a row without a value is left out.
    """

    option: str
    reason: str
    needs: tuple[str, ...]
    passes: Callable[[Columns], Any]


def numbers(column: Any) -> Any:
    """A column as floats.

    Raises:
        DataError: it holds something else.
    """
    try:
        return pc.cast(column, pa.float64(), safe=False)
    except pa.ArrowException as error:
        raise DataError("a column of the metadata holds no numbers", got=error) from error


def aspect(sides: Columns) -> Any:
    """Ratio of the longer to the shorter side; no value where one is missing."""
    width, height = map(numbers, sides)
    return pc.divide(pc.max_element_wise(width, height, skip_nulls=False), shorter(sides))


def equals(text: str) -> Callable[[Columns], Any]:
    """Whether a column is ``text``, whatever its case."""
    return lambda columns: pc.equal(pc.utf8_lower(pc.cast(columns[0], pa.string())), text.lower())


def shorter(sides: Columns) -> Any:
    """The shorter side; no value where one is missing."""
    return pc.min_element_wise(*map(numbers, sides), skip_nulls=False)


def filters_of(asked: Preparation) -> list[Filter]:
    """The filters that are switched on."""
    sides = ("width", "height")
    least, longest, punsafe = asked.min_side, asked.max_aspect, asked.max_punsafe
    known = [
        (
            least > 0,
            Filter("min_side", f"a side below {least}", sides, lambda c: pc.greater_equal(shorter(c), least)),
        ),
        (
            longest > 0,
            Filter(
                "max_aspect",
                f"sides beyond {longest:g} to 1",
                sides,
                lambda c: pc.less_equal(aspect(c), longest),
            ),
        ),
        (
            asked.language != ANY,
            Filter("language", f"language not {asked.language}", ("language",), equals(asked.language)),
        ),
        (
            punsafe < 1,
            Filter(
                "max_punsafe",
                f"punsafe above {punsafe:g}",
                ("punsafe",),
                lambda c: pc.less_equal(numbers(c[0]), punsafe),
            ),
        ),
        (asked.nsfw != ANY, Filter("nsfw", f"nsfw not {asked.nsfw}", ("nsfw",), equals(asked.nsfw))),
    ]
    return [one for on, one in known if on]


def passing(
    batch: pa.RecordBatch, filters: Sequence[tuple[Filter, tuple[str, ...]]], left_out: Counter[str]
) -> pa.RecordBatch:
    """The rows that pass every filter, given with the names of its columns here."""
    for one, names in filters:
        mask = pc.fill_null(one.passes([batch[name] for name in names]), False)
        left_out[one.reason] += len(batch) - int(pc.sum(mask).as_py() or 0)
        batch = batch.filter(mask)
    return batch
