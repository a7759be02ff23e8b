"""Every error a user can cause, as one small tree.

    ReplbenchError            one clear line; the command exits with status 2
    ├── ConfigError           a flag, recipe key, parameter or budget that cannot be meant
    ├── PluginError           an unknown or broken method, dataset, embedder, metric or reporter
    ├── DataError             images, captions or folders that cannot be used
    ├── WeightsError          weights that are missing or do not have the form that was asked for
    └── StoreError            an output folder that cannot be written, is locked, or holds something else

Anything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

MANY = 50  # names; a line that lists more says nothing


class ReplbenchError(Exception):
    """A mistake in the input, told in one line: what, where, got, want, next step.

    Args:
        what: what is wrong, as a short sentence without a full stop.
        where: the file, flag or key it concerns.
        got: the value found there.
        want: what would have been accepted.
        hint: the next step.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        got: object = None,
        want: object = None,
        hint: str | None = None,
    ):
        self.what, self.where, self.got, self.want, self.hint = what, where, got, want, hint
        parts = [what]
        parts += [f"in {where}"] if where is not None else []
        parts += [f"got {got}"] if got is not None else []
        parts += [f"want {want}"] if want is not None else []
        line = "; ".join(parts)
        super().__init__(" ".join((f"{line.removesuffix('.')}. {hint}" if hint else line).split()))

    def moved(self, where: object) -> Self:
        """The same mistake at another place: who raises it may know less of where it stands than who calls."""
        return type(self)(self.what, where=where, got=self.got, want=self.want, hint=self.hint)


class ConfigError(ReplbenchError):
    """A flag, recipe key, parameter or budget that cannot be meant."""


class PluginError(ReplbenchError):
    """An unknown or broken plug-in."""


class DataError(ReplbenchError):
    """Images, captions or folders that cannot be used."""


class WeightsError(ReplbenchError):
    """Weights that are missing or do not have the form that was asked for."""


class StoreError(ReplbenchError):
    """An output folder that cannot be written, is locked, or holds something else."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest of ``known``, then lists them all; not where one is close and they are many."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close and len(names) > MANY:
        return f"Did you mean '{close[0]}'?"
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(names) or 'none'}."
