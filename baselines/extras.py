"""Packages that one method needs, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from replication_bench.errors import PluginError


def require(module: str, method: str) -> Any:
    """The imported ``module``; its extra is called like the ``method``.

    Raises:
        PluginError: the package is missing or cannot be imported.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise PluginError(
            f"the method '{method}' needs the package '{package}'",
            got=error,
            hint=f"pip install 'replbench[{method}]'",
        ) from error
