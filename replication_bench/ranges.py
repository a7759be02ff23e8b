"""Range checks for the parameters of methods, datasets and embedders: a value that cannot be meant is one line."""

from __future__ import annotations

import math
from collections.abc import Iterable

from replication_bench.errors import ConfigError, did_you_mean


def one_of(where: str, value: object, known: Iterable[str], what: str | None = None) -> None:
    """Raise ConfigError unless ``value`` is one of ``known``; suggests the closest; ``what`` is its kind in words."""
    names = tuple(known)
    if value not in names:
        raise ConfigError(
            f"unknown {what or where} '{value}'", where=where, hint=did_you_mean(str(value), names)
        )


def boolean(where: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ConfigError("not a truth value", where=where, got=repr(value), want="true or false")


def text(where: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a string."""
    if not isinstance(value, str):
        raise ConfigError("not a text", where=where, got=repr(value), want="a text")


def integer(where: str, value: object, least: int) -> None:
    """Raise ConfigError unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            "not a usable number", where=where, got=repr(value), want=f"an integer from {least}"
        )


def number(where: str, value: object, want: str) -> float:
    """``value`` as a float; ConfigError that asks for ``want`` unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError("not a usable number", where=where, got=repr(value), want=want)
    return float(value)


def probability(where: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a number from 0 to 1."""
    want = "a probability from 0 to 1"
    if not 0 <= number(where, value, want) <= 1:
        raise ConfigError("no such probability", where=where, got=value, want=want)


def not_negative(where: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a finite number of at least 0."""
    want = "a number from 0"
    if number(where, value, want) < 0:
        raise ConfigError("cannot be negative", where=where, got=value, want=want)


def positive(where: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a finite number above 0."""
    want = "a number above 0"
    if number(where, value, want) <= 0:
        raise ConfigError("must be positive", where=where, got=value, want=want)


def at_least(where: str, value: object, least: float) -> None:
    """Raise ConfigError unless ``value`` is a finite number of at least ``least``."""
    want = f"a number from {least:g}"
    if number(where, value, want) < least:
        raise ConfigError("too small", where=where, got=value, want=want)
