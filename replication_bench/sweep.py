"""``--sweep key=a,b,c``: one run for each value, everything else as it is; what ablation curves are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replication_bench.errors import ConfigError
from replication_bench.resolve import Request, method_parts

SECTIONS = ("methods.", "train.", "sample.")
# runs that differ in these share no backbone, no table, or not what Accelerate keeps for a whole process
FIXED = ("train.pixels", "train.budget_rule", "train.precision")


def swept(request: Request) -> tuple[Request, ...]:
    """The request once for each value of each of its sweeps, or alone where it has none.

    Each sweep varies one key; the keys of the other sweeps stay as the rest of the request says.

    Raises:
        ConfigError: a sweep that is no ``key=a,b``, or of a key that all runs of a command share.
    """
    settings = [setting for sweep in request.sweeps for setting in settings_of(sweep, request.methods)]
    alone = replace(request, sweeps=())
    return tuple(replace(alone, settings=(*request.settings, setting)) for setting in settings) or (alone,)


def settings_of(sweep: str, methods: Sequence[str]) -> list[str]:
    """``a.b=1,2`` -> [a.b=1, a.b=2]; values that contain a comma are told apart by ';'.

    Raises:
        ConfigError: see ``swept``.
    """
    key, _, text = sweep.partition("=")
    values = [value.strip() for value in text.split(";" if ";" in text else ",")]
    if not all(values):
        example = "for example methods.loyal.tau=250,500,750"
        raise ConfigError("--sweep takes key=value,value", got=sweep, want=example)
    if not key.startswith(SECTIONS) or key in FIXED:
        want = "a setting of methods, train or sample"
        raise ConfigError("this cannot be swept", where="--sweep", got=key, want=want)
    used = {part for method in methods for part in method_parts(method)}
    if key.startswith("methods.") and (name := key.split(".")[1]) not in used:
        raise ConfigError("no run uses this method", where="--sweep", got=key, hint=f"Add --method {name}.")
    return [f"{key}={value}" for value in values]
