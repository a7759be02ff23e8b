"""``replbench methods | datasets | backbones | embedders``."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, cast

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from replication_bench import plugins
from replication_bench.errors import PluginError

Row = dict[str, Any]
EMBEDDER_COLUMNS = ("name", "protocols", "weights", "about")  # all there is room for; --json has the rest
# what the table of methods shows; where it is from, only if that is not replbench for all
METHODS = ("name", "kind", "paper", "hooks", "parameters", "about")
HEADINGS = {"parameters": "defaults"}


def hooks_used(target: type) -> list[str]:
    """The hooks that a method replaces."""
    from replication_bench.method import HOOKS, Method

    return [hook for hook in HOOKS if getattr(target, hook) is not getattr(Method, hook)]


def columns(kind: str, rows: list[Row]) -> tuple[str, ...]:
    """The columns of a table; a broken plug-in has not all of them."""
    if kind == "embedders":
        return EMBEDDER_COLUMNS
    if kind != "methods":
        return tuple(dict.fromkeys(name for row in rows for name in row)) or ("name",)
    foreign = any(not row["package"].startswith("replbench ") for row in rows)
    return (*METHODS, "package") if foreign else METHODS


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
        row |= {"kind": target.kind, "paper": target.paper, "hooks": hooks_used(target)}
    parameters = {
        name: None if p.default is p.empty else p.default
        for name, p in inspect.signature(target).parameters.items()
    }
    return {**row, "about": about, "parameters": parameters}


def backbone_rows() -> list[Row]:
    """The shipped backbones."""
    from replication_bench.pretrained import packaged_backbones

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
    names = columns(kind, rows)
    headings = (HEADINGS.get(name, name) if kind == "methods" else name for name in names)
    table = Table(*(Column(heading, overflow="fold") for heading in headings), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(as_text(row.get(name, ""))) for name in names))
    Console().print(table)


def as_text(value: Any) -> str:
    """``{"tau": 500, "skips": ("SC3", "SC4")}`` -> ``tau=500, skips=SC3+SC4``; ``["guide"]`` -> ``guide``."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={as_default(default)}" for name, default in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_default(value: Any) -> str:
    """A parameter's default, without spaces."""
    if value == "":
        return "''"
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
