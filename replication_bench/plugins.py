"""The doors: find, describe and load what installed packages offer. Listing never imports a plug-in.

Every built-in stands behind the same entry points as a stranger's package. ``REPLBENCH_PLUGINS`` (a comma-separated
list of distribution names) limits what is seen; tests set it to ``replbench``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from replication_bench.errors import ConfigError, PluginError, did_you_mean

Kind = Literal["methods", "datasets", "embedders", "metrics", "reporters", "commands", "components"]


@dataclass(frozen=True)
class Plugin:
    """One name behind a door, not yet imported.

    Attributes:
        kind: the door.
        name: the name that users type.
        target: ``module:attribute``.
        distribution: the package that offers it.
        version: that package's version.
    """

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the target.

        Raises:
            PluginError: importing it failed; names the distribution and the first error.
        """
        entry = EntryPoint(self.name, self.target, f"replication_bench.{self.kind}")
        try:
            return entry.load()
        except Exception as error:
            raise PluginError(
                f"{singular(self.kind)} '{self.name}' cannot be imported",
                where=f"{self.distribution} {self.version} ({self.target})",
                got=f"{type(error).__name__}: {error}",
            ) from error


def singular(kind: Kind) -> str:
    """``methods`` -> ``method``."""
    return kind.removesuffix("s")


@cache
def available(kind: Kind) -> dict[str, Plugin]:
    """All plug-ins of one kind by name, in name order.

    Raises:
        PluginError: two distributions offer the same name.
    """
    if kind not in get_args(Kind):
        raise PluginError(f"there is no door '{kind}'", hint=did_you_mean(kind, get_args(Kind)))
    allowed = os.environ.get("REPLBENCH_PLUGINS")
    found: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=f"replication_bench.{kind}"), key=lambda e: e.name):
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        if allowed is not None and distribution not in allowed.split(","):
            continue
        plugin = Plugin(kind, entry.name, entry.value, distribution, version)
        if found.get(entry.name, plugin) != plugin:
            raise PluginError(
                f"two packages offer the {singular(kind)} '{entry.name}'",
                got=f"{found[entry.name].distribution} and {distribution}",
                hint="Uninstall one of them.",
            )
        found[entry.name] = plugin
    return found


def find(kind: Kind, name: str) -> Plugin:
    """The plug-in called ``name``.

    Raises:
        PluginError: there is none; suggests the closest name.
    """
    known = available(kind)
    if name not in known:
        raise PluginError(f"unknown {singular(kind)} '{name}'", hint=did_you_mean(name, known))
    return known[name]


def load(kind: Kind, name: str) -> Any:
    """Find and import the plug-in called ``name``."""
    return find(kind, name).load()


def accepted(target: Any) -> list[str]:
    """Names of the arguments that ``target`` is constructed with."""
    if is_dataclass(target):
        return [field.name for field in fields(target) if field.init]
    return list(inspect.signature(target).parameters)


def construct(kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
    """Load a plug-in and construct it.

    Raises:
        PluginError: unknown or broken plug-in.
        ConfigError: an option that it does not take, or a value that it refuses.
    """
    target = load(kind, name)
    for option in options:
        if option not in accepted(target):
            hint = did_you_mean(option, accepted(target))
            raise ConfigError(f"{singular(kind)} '{name}' has no parameter '{option}'", hint=hint)
    try:
        return target(**options)
    except TypeError as error:
        raise ConfigError(f"{singular(kind)} '{name}' refuses its options", got=error) from error
