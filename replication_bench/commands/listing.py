"""``replbench methods | datasets | backbones | embedders``."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable
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
OWN = "replbench "
HEADINGS = {"parameters": "defaults"}
NARROW, WORD = 120, 22  # below so many columns no default of a method up to this length is broken in two


def hooks_used(target: type) -> list[str]:
    """The hooks that a method replaces."""
    from replication_bench.method import HOOKS, Method

    return [hook for hook in HOOKS if getattr(target, hook) is not getattr(Method, hook)]


def columns(kind: str, rows: list[Row], width: int) -> tuple[str, ...]:
    """The columns of a table for so wide a terminal; a broken plug-in has not all of them."""
    if kind == "embedders":
        return EMBEDDER_COLUMNS
    if kind != "methods":
        return tuple(dict.fromkeys(name for row in rows for name in row)) or ("name",)
    return (*METHODS, "package") if width >= NARROW and any(map(foreign, rows)) else METHODS


def foreign(row: Row) -> bool:
    """Whether a plug-in is from another package."""
    return not row.get("package", OWN).startswith(OWN)


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
    console = Console()
    console.print(
        methods_table(rows, console.width) if kind == "methods" else table(kind, rows, console.width)
    )


def table(kind: str, rows: list[Row], width: int) -> Table:
    """The rows as they are."""
    names = columns(kind, rows, width)
    headings = (HEADINGS.get(name, name) if kind == "methods" else name for name in names)
    drawn = Table(*(Column(heading, overflow="fold") for heading in headings), box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(as_text(row.get(name, ""))) for name in names))
    return drawn


def methods_table(rows: list[Row], width: int) -> Table:
    """The methods; where there is no room for a column of packages, another package stands beside what it is about."""
    if width >= NARROW:
        return table("methods", rows, width)
    rows = [{**row, "about": f"{row['about']} ({row['package']})"} if foreign(row) else row for row in rows]
    drawn = table("methods", rows, width)
    name, defaults = drawn.columns[0], drawn.columns[METHODS.index("parameters")]
    name.no_wrap = True
    defaults.width = width_of_words(as_text(row["parameters"]) for row in rows)
    return drawn


def width_of_words(texts: Iterable[str]) -> int:
    """The longest word, at most ``WORD``: where a number is broken, ``0.75`` reads as ``0.7``."""
    return min(WORD, max((len(word) for text in texts for word in text.split()), default=0) or WORD)


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
