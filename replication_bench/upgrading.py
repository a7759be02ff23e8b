"""Results that an older replbench wrote, in the form of this one."""

from __future__ import annotations

from typing import Any


def upgraded(table: dict[str, Any], version: int) -> dict[str, Any]:
    """A result of an older replbench in the form of this one, which writes schema ``version``.

    What versions 2 and 3 made optional, older ones have. Before version 3 an embedder's name was overwritten by its
    protocol's; the measurements still carry it.
    """
    if "schema_version" not in table or not isinstance(table.get("embedder"), dict):
        return table
    names = embedder_names(table)
    config = table.get("config", {})
    if isinstance(config, dict) and "embedders" in config:
        records = zip(config["embedders"], [*names, *[""] * len(config["embedders"])], strict=False)
        config = config | {"embedders": [with_own_name(record, name) for record, name in records]}
    own = {"embedder": with_own_name(table["embedder"], next(iter(names), "")), "config": config}
    return {**table, **own, "schema_version": version}


def embedder_names(table: dict[str, Any]) -> list[str]:
    """The embedders that the measurements of a result name, one a protocol, in their order."""
    found: dict[str | None, str] = {}
    for measured in table.get("measurements", []):
        if measured.get("embedder"):
            found.setdefault(measured.get("protocol"), measured["embedder"].partition("@")[0])
    return list(found.values())


def with_own_name(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The record of an embedder called ``name``, where its protocol's name stands in the place of its own."""
    protocol = record.get("protocol", record.get("name"))
    if not name or "weights_sha256" not in record or record.get("name") != protocol:
        return record
    return {"options": {}, **record, "name": name, "protocol": protocol}
