"""``NAME[@PROTOCOL][,key=value ...]`` -> an embedder that follows exactly the protocol that was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from replication_bench import plugins
from replication_bench.config import NamedOptions, parse_value
from replication_bench.embedders.protocol import Embedder, ImageProtocol
from replication_bench.errors import ConfigError

WANT = "NAME, NAME@PROTOCOL or NAME@PROTOCOL,key=value"


def parse(text: str) -> tuple[str, str, dict[str, Any]]:
    """Name, protocol (empty for the embedder's own) and options of what was typed.

    Raises:
        ConfigError: another form.
        PluginError: no such embedder.
    """
    head, *settings = text.split(",")
    name, at, protocol = head.partition("@")
    options = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals and value):
            raise ConfigError("no embedder can be meant", where="--embedder", got=text, want=WANT)
        options[key.strip()] = parse_value(value)
    if at and not protocol:
        raise ConfigError("no embedder can be meant", where="--embedder", got=text, want=WANT)
    plugins.find("embedders", name)
    return name, protocol, options


def protocol_options(name: str, protocol: str) -> dict[str, Any]:
    """The constructor's argument that chooses a protocol: ``preset``, else ``pixels`` from the protocol's name.

    Raises:
        ConfigError: the embedder has one protocol only.
    """
    known = plugins.accepted(plugins.load("embedders", name))
    if "preset" in known:
        return {"preset": protocol}
    side = re.search(r"(\d+)$", protocol)
    if "pixels" in known and side:
        return {"pixels": int(side.group(1))}
    raise ConfigError(f"the embedder '{name}' has no protocol '{protocol}'", where="--embedder")


def resolve_embedder(text: str, defaults: Mapping[str, Any]) -> NamedOptions:
    """The embedder that was typed, with the options that it is constructed with.

    Args:
        text: see the module.
        defaults: options for every embedder that takes them.
    """
    name, protocol, options = parse(text)
    known = plugins.accepted(plugins.load("embedders", name))
    shared = {key: value for key, value in defaults.items() if key in known}
    chosen = protocol_options(name, protocol) if protocol else {}
    return NamedOptions(name=name, options={**shared, **chosen, **options})


def build_embedder(chosen: NamedOptions, protocol: str = "") -> Embedder:
    """The embedder.

    Args:
        chosen: name and options.
        protocol: the protocol that it must follow; empty for whichever it does.

    Raises:
        ConfigError: its weights follow another protocol.
        WeightsError: its weights are missing.
    """
    embedder: Embedder = plugins.construct("embedders", chosen.name, chosen.options)
    if protocol and embedder.protocol.name != protocol:
        raise ConfigError(
            f"the embedder '{chosen.name}' cannot follow the protocol '{protocol}'",
            where="--embedder",
            got=f"its protocol {embedder.protocol.name}",
            hint="'replbench embedders' lists the parameters.",
        )
    return embedder


def record_of(chosen: NamedOptions, protocol: ImageProtocol) -> dict[str, Any]:
    """An embedder as results and indexes record it."""
    fields = asdict(protocol)
    return {"name": chosen.name, **fields, "protocol": fields["name"], "options": dict(chosen.options)}
