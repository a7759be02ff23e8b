"""Whether a method works on the data alone, on the network, or on sampling: read off the hooks that it overrides."""

from __future__ import annotations

from typing import Any, Literal

from replication_bench import plugins
from replication_bench.errors import PluginError

Side = Literal["data", "other", "none", "unknown"]
DATA = ("dataset", "caption", "image", "encode")
TELLING = ("check", "facts")  # refuse a run or report on it, and change nothing in it


def side_of(method: str) -> Side:
    """``data`` where every part overrides only hooks on the training data; ``none`` for plain fine-tuning.

    ``encode`` counts: noise on text states and fused captions change what is trained on, not how. ``check`` and
    ``facts`` do not: they change nothing.
    """
    try:
        sides = {side_of_part(part) for part in method.split("+")}
    except PluginError:
        return "unknown"
    sides -= {"none"} if len(sides) > 1 else set()
    return sides.pop() if len(sides) == 1 else "other"


def side_of_part(name: str) -> Side:
    """The side of a method that is no composition.

    Raises:
        PluginError: it is not installed.
    """
    from replication_bench.method import HOOKS, Method

    target: Any = plugins.load("methods", name)
    effective = set(HOOKS) - set(TELLING)
    changed = {hook for hook in effective if getattr(target, hook) is not getattr(Method, hook)}
    if not changed:
        return "none"
    return "data" if changed <= set(DATA) else "other"
