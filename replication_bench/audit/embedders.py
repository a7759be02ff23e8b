"""Embedders of an audit: as typed, and as a saved index names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from replication_bench import plugins
from replication_bench.config import NamedOptions
from replication_bench.embedders import parse
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ConfigError


def chosen_by_pixels(name: str, protocol: str) -> dict[str, Any]:
    """The option ``pixels`` that the protocol's name ends in, for an embedder without named protocols.

    Raises:
        ConfigError: the embedder has one protocol only.
    """
    side = re.search(r"(\d+)$", protocol)
    if side and "pixels" in plugins.accepted(plugins.load("embedders", name)):
        return {"pixels": int(side.group(1))}
    raise ConfigError(f"the embedder '{name}' has no protocol '{protocol}'", where="--embedder")


def build_embedder(chosen: NamedOptions) -> Embedder:
    """The embedder; see ``plugins.construct`` for what is raised."""
    embedder: Embedder = plugins.construct("embedders", chosen.name, chosen.options)
    return embedder


def choose_embedder(
    text: str, defaults: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> tuple[NamedOptions, Embedder]:
    """The embedder that was typed, and the options that it is constructed with.

    Args:
        text: see ``embedders.parse``.
        defaults: options for every embedder that takes them.
        given: further options of this one.

    Raises:
        ConfigError: another form, or a protocol that the embedder cannot follow.
        PluginError: no such embedder.
        WeightsError: its weights are missing.
    """
    name, options = parse(text)
    known = plugins.accepted(plugins.load("embedders", name))
    asked = options.pop("preset") if "preset" in options and "preset" not in known else ""
    shared = {key: value for key, value in defaults.items() if key in known}
    named = chosen_by_pixels(name, asked) if asked else {}
    chosen = NamedOptions(name=name, options={**shared, **named, **options, **(given or {})})
    embedder = build_embedder(chosen)
    if asked and embedder.protocol.name != asked:
        raise ConfigError(
            f"the embedder '{name}' cannot follow the protocol '{asked}'",
            where="--embedder",
            got=f"its protocol {embedder.protocol.name}",
            hint="'replbench embedders' lists the parameters.",
        )
    return chosen, embedder
