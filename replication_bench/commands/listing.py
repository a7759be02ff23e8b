"""``replbench methods | datasets | backbones | embedders``."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replication_bench import plugins
from replication_bench.errors import PluginError

Row = dict[str, Any]
EMBEDDER_COLUMNS = ("name", "protocols", "weights", "about")  # all there is room for; --json has the rest


def plugin_row(plugin: plugins.Plugin) -> Row:
    """One plug-in; a broken one is listed with its error."""
    row: Row = {"name": plugin.name, "package": f"{plugin.distribution} {plugin.version}"}
    try:
        target = plugin.load()
    except PluginError as error:
        return {**row, "about": str(error), "parameters": {}}
    about = getattr(target, "summary", None) or (inspect.getdoc(target) or "").split("\n")[0]
    if plugin.kind == "embedders":
        presets = ", ".join(getattr(target, "presets", {}))
        row |= {"protocols": presets, "weights": getattr(target, "source", "")}
    if plugin.kind == "methods":
        row |= {"kind": target.kind, "paper": target.paper}
    parameters = {
        name: None if p.default is p.empty else p.default
        for name, p in inspect.signature(target).parameters.items()
    }
    return {**row, "about": about, "parameters": parameters}


def backbone_rows() -> list[Row]:
    """The shipped backbones."""
    from replication_bench.backbone import packaged_backbones

    return [
        {"name": name, "about": str(path), "parameters": {}} for name, path in packaged_backbones().items()
    ]


def show(kind: str, as_json: bool) -> None:
    """Print the list as a table or as JSON."""
    found = plugins.available(cast(plugins.Kind, kind)).values() if kind != "backbones" else ()
    rows = [plugin_row(plugin) for plugin in found] if kind != "backbones" else backbone_rows()
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1, default=str) + "\n")
        return
    if kind == "embedders":
        rows = [{key: row.get(key, "") for key in EMBEDDER_COLUMNS} for row in rows]
    table = Table(*(rows[0] if rows else ("name",)), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(as_text(value)) for value in row.values()))
    Console().print(table)


def as_text(value: Any) -> str:
    """``{"tau": 500}`` -> ``tau=500``."""
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
