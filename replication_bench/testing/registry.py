"""Checks with names, generated one by one, as scikit-learn's ``check_estimator`` does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from replication_bench.errors import DataError, PluginError
from replication_bench.testing.case import CannotCheck, CheckFailed

Subject = TypeVar("Subject")
Check = Callable[[Subject], None]


def registry(checks: list[Check[Subject]]) -> Callable[[Check[Subject]], Check[Subject]]:
    """A decorator that adds a check to ``checks``.

    Whatever the check raises becomes a CheckFailed that starts with its name; what tells of files or packages that are
    not here becomes a CannotCheck.
    """

    def named(function: Check[Subject]) -> Check[Subject]:
        @functools.wraps(function)
        def check(subject: Subject) -> None:
            try:
                function(subject)
            except CannotCheck:
                raise
            except (DataError, PluginError) as error:
                raise CannotCheck(f"cannot be checked here: {error}") from error
            except CheckFailed as error:
                raise CheckFailed(f"{function.__name__}: {error}") from error
            except Exception as error:
                raise CheckFailed(f"{function.__name__}: {type(error).__name__}: {error}") from error

        checks.append(check)
        return check

    return named
