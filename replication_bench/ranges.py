"""Checks of hyper-parameters: each raises one clear line that names the parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable

from replication_bench.errors import ConfigError, did_you_mean


def number(value: object) -> bool:
    """Whether ``value`` is a finite number, truth values excluded."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def probability(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a number in [0, 1]."""
    if not number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ConfigError("out of range", where=name, got=repr(value), want="a number from 0 to 1")


def positive(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a finite number above 0."""
    if not number(value) or value <= 0:  # type: ignore[operator]
        raise ConfigError("out of range", where=name, got=repr(value), want="a number above 0")


def at_least(name: str, value: object, low: float) -> None:
    """Raise ConfigError unless ``value`` is a finite number of at least ``low``."""
    if not number(value) or value < low:  # type: ignore[operator]
        raise ConfigError("out of range", where=name, got=repr(value), want=f"a number from {low:g}")


def integer(name: str, value: object, low: int) -> None:
    """Raise ConfigError unless ``value`` is an integer of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError("out of range", where=name, got=repr(value), want=f"an integer from {low}")


def boolean(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ConfigError("not a truth value", where=name, got=repr(value), want="true or false")


def one_of(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ConfigError unless ``value`` is one of ``choices``; suggests the closest."""
    names = tuple(choices)
    if value not in names:
        raise ConfigError(f"unknown {name} '{value}'", hint=did_you_mean(str(value), names))
