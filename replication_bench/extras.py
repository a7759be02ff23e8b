"""Packages that only some methods need: asked for before anything trains, imported when used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from replication_bench.errors import PluginError

if TYPE_CHECKING:
    from replication_bench.method import Method

# packages that a part of replbench needs, by distribution: the module, and what pip is to install
OPTIONAL = {
    "open_clip_torch": ("open_clip", "replbench[clip]"),
    "peft": ("peft", "replbench[lora]"),
    "opacus": ("opacus", "replbench[dp]"),
    "bitsandbytes": ("bitsandbytes", "replbench[8bit]"),
    "textblob": ("textblob", "replbench[captions]"),
    "torch-fidelity": ("torch_fidelity", "replbench[fid]"),
    "timm": ("timm", "replbench[imagenet]"),
    "datasets": ("datasets", "replbench[huggingface]"),
    "ray": ("ray", "replbench[ray]"),
}


def optional(distribution: str) -> str:
    """The version of a package of ``OPTIONAL``.

    Raises:
        PluginError: it is not installed.
    """
    module, install = OPTIONAL[distribution]
    try:
        return version(distribution)
    except PackageNotFoundError as error:
        raise missing(module, install) from error


def missing(module: str, install: str, got: object = None) -> PluginError:
    """The line for a package that is not there."""
    package = module.partition(".")[0]
    return PluginError(f"the package '{package}' is missing", got=got, hint=f"pip install '{install}'")


def require(module: str, install: str) -> Any:
    """The imported ``module``.

    Args:
        module: dotted name.
        install: what pip is to be given where it is missing.

    Raises:
        PluginError: it cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(module, install, error) from error


def check_needs(name: str, method: Method) -> None:
    """Raise PluginError where a package that the method ``name`` needs is not installed; imports nothing."""
    for module, install in method.needs:
        if find_spec(module) is None:
            raise missing(module, install, f"method '{name}'")
