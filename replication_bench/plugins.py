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
            PluginError: importing it failed, or it is no method where one should be; names the distribution.
        """
        entry = EntryPoint(self.name, self.target, f"replication_bench.{self.kind}")
        try:
            target = entry.load()
        # a module that ends the process while it is imported is as broken as one that raises
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{singular(self.kind)} '{self.name}' cannot be imported",
                where=self.origin,
                got=f"{type(error).__name__}: {error}",
            ) from error
        if self.kind == "methods":
            self.check_method(target)
        return target

    @property
    def origin(self) -> str:
        """Distribution, version and target."""
        return f"{self.distribution} {self.version} ({self.target})"

    def check_method(self, target: Any) -> None:
        """Raise PluginError unless ``target`` is a class of methods."""
        from replication_bench.method import Method

        if not (isinstance(target, type) and issubclass(target, Method)):
            raise PluginError(
                f"'{self.name}' is no method",
                where=self.origin,
                got=f"a {type(target).__name__}",
                want="a subclass of replication_bench.method.Method",
            )


@dataclass(frozen=True)
class Clash(Plugin):
    """One name that two distributions offer: it stands for neither, and all other names keep working."""

    def load(self) -> Any:
        """Raise PluginError that names both."""
        raise PluginError(
            f"two packages offer the {singular(self.kind)} '{self.name}'",
            got=self.distribution,
            hint="Uninstall one of them.",
        )


def singular(kind: Kind) -> str:
    """``methods`` -> ``method``."""
    return kind.removesuffix("s")


@cache
def available(kind: Kind) -> dict[str, Plugin]:
    """All plug-ins of one kind by name, in name order; a name that two distributions offer is a ``Clash``."""
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
        other = found.get(entry.name, plugin)
        found[entry.name] = plugin if other == plugin else clash(other, plugin)
    return found


def clash(first: Plugin, second: Plugin) -> Clash:
    """What stands behind a name of two plug-ins."""
    targets, distributions, versions = (
        f"{one} and {other}"
        for one, other in (
            (first.target, second.target),
            (first.distribution, second.distribution),
            (first.version, second.version),
        )
    )
    return Clash(first.kind, first.name, targets, distributions, versions)


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
        ConfigError: an option that it does not take, or a value that it refuses; of a method's the line has the key.
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
    except ConfigError as error:
        # a method knows its fields, and not the name that it is behind
        where = error.where
        if kind == "methods" and (where is None or where in accepted(target)):
            raise error.moved(f"methods.{name}" if where is None else f"methods.{name}.{where}") from error
        raise
