"""What reports ask of a result; parts that an audit of foreign images does not have are missing, not zero."""

from __future__ import annotations

from typing import Any

from replication_bench.config import flatten
from replication_bench.results import Result

AUDIT = "audit"
BOARD_PARTS = ("dataset fingerprint", "backbone hash", "protocol hash", "budget rule")
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


def name_of(result: Result) -> str:
    """The method's name, or ``audit``."""
    return result.method.name if result.method else AUDIT


def budget_of(result: Result) -> int | None:
    """Images that the method was given; None where nobody knows."""
    return result.cost.budget if result.cost else None


def board_parts(result: Result) -> dict[str, str]:
    """What must be equal between the results of one board, by name."""
    return {name: value or "none" for name, value in zip(BOARD_PARTS, result.board, strict=True)}


def further_protocols(result: Result) -> dict[str, str]:
    """The protocol hash of every measurement in a space that is not the first embedder's, by what it is called."""
    return {
        f"protocol of {m.name}": m.protocol
        for m in result.measurements
        if m.protocol and m.protocol != result.protocol
    }


def machine_of(result: Result) -> dict[str, Any]:
    """Where a run was computed and how: what makes two runs of one seed differ in their last bits."""
    train = result.config.get("train")  # of an audit it is the folder of the training images
    return {
        "device": result.device,
        "precision": train.get("precision", "") if isinstance(train, dict) else "",
    }


def why_control(result: Result, reference: str, usual: int | None) -> str:
    """Why a result is a control and no contender; empty where it is none.

    Args:
        result: of the row.
        reference: the method that reductions are counted from.
        usual: the budget that most rows of its board have; None where none is known.
    """
    budget = budget_of(result)
    if budget is not None and usual is not None and budget != usual:
        side = "above" if budget > usual else "below"
        return f"its budget of {budget:,} images is {side} the board's usual {usual:,}"
    if result.method and result.method.paper == "" and result.method.name != reference:
        return "published nowhere; it is here to tell causes apart"
    return ""


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
