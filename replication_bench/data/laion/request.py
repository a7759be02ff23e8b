"""What a subset is asked to be, and how it is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from replication_bench.config import Section, config_error
from replication_bench.errors import ConfigError, did_you_mean

ANY = "any"
# how rows are fetched cannot change which rows are picked, nor what an image holds
MACHINE = ("metadata", "timeout", "threads", "img2dataset")


class Preparation(Section):
    """A subset of LAION.

    Attributes:
        metadata: parquet files of links, folders of them, or patterns; read in any order with the same outcome.
        size: rows to pick.
        seed: of the choice.
        url_column: name of the column of links; empty for ``url`` in any case.
        caption_column: name of the column of captions; empty for ``text`` or ``caption`` in any case.
        min_side: least width and height in pixels, of the metadata and of the image that arrived.
        max_aspect: largest ratio of the longer to the shorter side, of both; 0 for all.
        max_pixels: largest area of an image that arrived.
        language: value of the column ``language``; ``any`` for all.
        max_punsafe: largest value of the column ``punsafe``; 1 for all.
        nsfw: value of the column ``nsfw``; ``any`` for all.
        heldout_share: share of the groups of near-duplicates that is held out, in (0, 1).
        duplicate_threshold: similarity above which two images are one group, in [-1, 1].
        embedder: what judges that; ``none`` keeps only equal content on one side.
        timeout: seconds that a server may be silent.
        threads: links fetched at once.
        img2dataset: path of an img2dataset that is there; empty for one in an environment of its own.
    """

    metadata: tuple[str, ...] = ()
    size: int = Field(default=10_000, ge=3)
    seed: int = 0
    url_column: str = ""
    caption_column: str = ""
    min_side: int = Field(default=256, ge=0)
    max_aspect: float = Field(default=3.0, ge=0)
    max_pixels: int = Field(default=89_478_485, gt=0)
    language: str = "en"
    max_punsafe: float = Field(default=0.1, ge=0, le=1)
    nsfw: str = "UNLIKELY"
    heldout_share: float = Field(default=0.1, gt=0, lt=1)
    duplicate_threshold: float = Field(default=0.75, ge=-1, le=1)
    embedder: str = "sscd"
    timeout: int = Field(default=10, gt=0)
    threads: int = Field(default=32, gt=0)
    img2dataset: str = ""

    @field_validator("max_aspect")
    @classmethod
    def _is_a_ratio(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError("is 0, or the longer over the shorter side, at least 1")
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides which rows are picked and kept; equal on every machine."""
        return self.model_dump(mode="json", exclude=set(MACHINE))


def preparation(table: Mapping[str, Any]) -> Preparation:
    """A preparation from settings by name.

    Raises:
        ConfigError: an unknown name (with the closest known one), or a value out of range.
    """
    for key in table:
        if key not in Preparation.model_fields:
            hint = did_you_mean(key, Preparation.model_fields)
            raise ConfigError(f"unknown key 'prepare.{key}'", hint=hint)
    try:
        return Preparation.model_validate(table)
    except ValidationError as error:
        raise config_error(error, "prepare") from error
