"""One nested table over another: how a recipe stands on its base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` where it says something, else ``below``, table by table; a list is replaced as a whole."""
    both = {
        key: overlaid(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}
