"""What reports ask of a result; parts that an audit of foreign images does not have are missing, not zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication_bench.results import Cost, MethodRecord, Result

AUDIT = "audit"
DROPPED = (
    "seed",
    "dataset",
    "backbone",
    "device",
    "measure.bootstrap",
    "measure.pairs",
    "measure.embedder_options",
)
DROPPED_OF_TRAINING = ("train.budget", "train.budgets", "train.checkpoint_images", "train.precision")


def method_of(result: Result) -> MethodRecord | None:
    """The method that ran; None for an audit."""
    return result.method


def cost_of(result: Result) -> Cost | None:
    """What the method used; None for an audit."""
    return result.cost


def name_of(result: Result) -> str:
    """The method's name, or ``audit``."""
    method = method_of(result)
    return method.name if method else AUDIT


def budget_of(result: Result) -> int | None:
    """Images that the method was given."""
    cost = cost_of(result)
    return cost.budget if cost else None


def board_parts(result: Result) -> dict[str, str]:
    """What must be equal between the results of one board, by name."""
    cost, backbone = cost_of(result), result.backbone
    return {
        "dataset fingerprint": result.dataset.fingerprint,
        "backbone hash": backbone.get("sha256", "none") if backbone else "none",
        "protocol hash": result.protocol,
        "budget rule": cost.budget_rule if cost else "none",
    }


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def setting_of(result: Result) -> dict[str, Any]:
    """Everything that was configured and may differ between two rows of a board; seeds make no new row."""
    flat = flatten(result.config)
    dropped = DROPPED + DROPPED_OF_TRAINING
    kept = {
        key: value
        for key, value in flat.items()
        if not any(key == name or key.startswith(f"{name}.") for name in dropped)
    }
    return kept | {"method": name_of(result), "budget": budget_of(result)}
