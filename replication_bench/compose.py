"""Composition ``a+b``: chained hooks run in order, owned hooks have one owner, every part is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from replication_bench.errors import ConfigError
from replication_bench.method import CHAINED, OWNED, Context, Method


def chained(hook: str) -> Callable[..., Any]:
    """A hook that hands its first argument through every part's hook of that name."""

    def run(self: Composition, value: Any, *rest: Any) -> Any:
        for part in self.parts:
            value = getattr(part, hook)(value, *rest)
        return value

    run.__name__ = hook
    run.__doc__ = getattr(Method, hook).__doc__
    return run


def owned(hook: str) -> Callable[..., Any]:
    """A hook that calls its owner, or plain fine-tuning where no part overrides it."""

    def run(self: Composition, *arguments: Any) -> Any:
        owner = self.parts[self.owners[hook]] if hook in self.owners else Method()
        return getattr(owner, hook)(*arguments)

    run.__name__ = hook
    run.__doc__ = getattr(Method, hook).__doc__
    return run


@dataclass(frozen=True)
class Composition(Method):
    """Several methods as one; made by ``compose``.

    Attributes:
        parts: the methods in the order in which chained hooks run.
        owners: for each owned hook that a part overrides, the index of that part.
    """

    parts: tuple[Method, ...] = ()
    owners: dict[str, int] = field(default_factory=dict)

    def overrides(self, hook: str) -> bool:
        """Whether any part replaces the default of ``hook``."""
        return any(part.overrides(hook) for part in self.parts)

    def check(self, ctx: Context) -> None:
        """Ask every part."""
        for part in self.parts:
            part.check(ctx)


for _hook in CHAINED:
    setattr(Composition, _hook, chained(_hook))
for _hook in OWNED:
    setattr(Composition, _hook, owned(_hook))


def compose(parts: Sequence[tuple[str, Method]]) -> Method:
    """One method out of named parts; a single part is returned as it is.

    Raises:
        ConfigError: two parts own the same hook; the line names both.
    """
    if len(parts) == 1:
        return parts[0][1]
    owners: dict[str, int] = {}
    for index, (name, part) in enumerate(parts):
        for hook in OWNED:
            if not part.overrides(hook):
                continue
            if hook in owners:
                raise ConfigError(
                    f"'{parts[owners[hook]][0]}' and '{name}' cannot be combined",
                    got=f"both replace the hook '{hook}', which has one owner",
                )
            owners[hook] = index
    return Composition(parts=tuple(part for _, part in parts), owners=owners)
