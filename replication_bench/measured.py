"""What a run or an audit measures: the keys ``measure.*`` of the configuration."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from replication_bench.speed import Section


class MeasureConfig(Section):
    """How images are compared.

    Attributes:
        embedder: the copy detector.
        embedder_options: its constructor's arguments, such as the path of weights.
        alignment: the image-text embedder that compares generated images with their prompts, ``NAME[@PROTOCOL]``;
            ``auto`` is ``pocket-clip`` where its weights and packages are there, ``none`` leaves it out.
        fidelity: further embedders of a run, in whose spaces distances between distributions are taken too; ``auto``
            is ``efficientnet-lite0@lite0-128`` where its package is there. FID needs ``inception,path=...``.
        bootstrap: resamples for each interval.
        confidence: of the intervals.
        pairs: number of closest pairs on the sheet.
    """

    embedder: str = "sscd"
    embedder_options: dict[str, Any] = Field(default_factory=dict)
    alignment: str = "auto"
    fidelity: tuple[str, ...] = ("auto",)
    bootstrap: int = Field(default=1000, ge=0)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    pairs: int = Field(default=24, gt=0)

    @field_validator("fidelity", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: Any) -> Any:
        """``--set measure.fidelity=NAME`` needs no brackets; ``none`` is the empty list."""
        return ((value,) if value not in ("", "none") else ()) if isinstance(value, str) else value
