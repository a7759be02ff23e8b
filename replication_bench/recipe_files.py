"""Recipes as files: the shipped ones and a user's own, and how one stands on another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from replication_bench.errors import ConfigError, did_you_mean


def recipe_names() -> list[str]:
    """The recipes that the package ships."""
    return sorted(
        path.name.removesuffix(".toml") for path in (files("replication_bench") / "recipes").iterdir()
    )


def read_recipe(name: str, readers: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recipe by name or path, as a plain table, laid over the one that its ``base`` names.

    Args:
        name: of a shipped recipe, or the path of a TOML file.
        readers: the recipes that stand on this one.

    Raises:
        ConfigError: no such recipe, not TOML, or recipes that stand on each other.
    """
    if name in readers:
        raise ConfigError("recipes stand on each other", got=" on ".join((*readers, name)))
    table = read_table(name)
    base = table.pop("base", None)
    return table if base is None else overlaid(read_recipe(str(base), (*readers, name)), table)


def read_table(name: str) -> dict[str, Any]:
    """A recipe by name or path as it is written.

    Raises:
        ConfigError: no such recipe, or not TOML.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in recipe_names():
            raise ConfigError(f"unknown recipe '{name}'", hint=did_you_mean(name, recipe_names()))
        return tomllib.loads(
            (files("replication_bench") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("the recipe cannot be read", where=name, got=error.strerror) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("the recipe is not TOML", where=name, got=error) from error


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` where it says something, else ``below``, table by table; a list is replaced as a whole."""
    both = {
        key: overlaid(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}
