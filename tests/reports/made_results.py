"""Results as a run writes them, with round numbers so that expected tables can be worked out by hand."""

from __future__ import annotations

from typing import Any

from replication_bench.results import Cost, DatasetRecord, Measurement, MethodRecord, Result

ONE = {
    "R": 0.546,
    "sim_mean": 0.44,
    "sim_gt_05pc": 0.402,
    "r_star": 0.164,
    "kd_heldout": 0.00123,
    "kd_train": 0.002,
    "floor_95pc": 0.472,
    "floor_mean": 0.333,
    "bg_95pc": 0.47,
    "ceiling_95pc": 0.923,
    "threshold": 0.4612,
    "sim_gt_calibrated": 0.42,
    "floor_gt_05pc": 0.0,
}
UNITS = {"sim_gt_05pc": "share", "r_star": "of ceiling", "kd_heldout": "squared", "floor_gt_05pc": "share"}
BETTER = {"R": "down", "sim_mean": "down", "sim_gt_05pc": "zero", "r_star": "down", "kd_heldout": "down"}
CLAIM = {
    "claim": "replication against the state-of-the-art mitigation, less by",
    "value": 48.63,
    "unit": "%",
    "protocol": "SD 2.1, LAION",
    "source": "arXiv 2412.01118",
}


def make_measurements(values: dict[str, float | str], notes: dict[str, str]) -> tuple[Measurement, ...]:
    """A string is the reason why there is no value."""
    return tuple(
        Measurement(
            name=name,
            value=None if isinstance(value, str) else value,
            reason=value if isinstance(value, str) else None,
            n=256,
            low=value - 0.02 if name == "R" and not isinstance(value, str) else None,
            high=value + 0.02 if name == "R" and not isinstance(value, str) else None,
            unit=UNITS.get(name, "cosine"),
            better=BETTER.get(name, "reference"),
            note=notes.get(name),
            embedder="sscd",
        )
        for name, value in values.items()
    )


def make_result(
    method: str = "none",
    seed: int = 0,
    values: dict[str, float | str] | None = None,
    notes: dict[str, str] | None = None,
    **changes: Any,
) -> Result:
    """A result; ``changes`` replace the fields named below, ``values`` and reasons those of ``ONE``."""
    fields: dict[str, Any] = {
        "budget": 10_000,
        "budget_rule": "total",
        "images": 10_000,
        "parameters": 8_800_000,
        "seconds": {"train": 70.0, "sample": 20.5},
        "paper": "",
        "reported": (),
        "data": "d" * 64,
        "backbone": "b" * 64,
        "protocol": "p" * 64,
        "note": "openmoji: the images were chosen.",
    } | changes
    return Result(
        id=f"openmoji-{method}-{seed}-0123abcd",
        fingerprint="f" * 64,
        config={"measure": {"confidence": 0.95}},
        method=MethodRecord(name=method, paper=fields["paper"], reported=fields["reported"]),
        dataset=DatasetRecord(
            name="openmoji", fingerprint=fields["data"], train=64, heldout=128, note=fields["note"]
        ),
        backbone={"name": "pocket", "sha256": fields["backbone"]},
        embedder={"name": "sscd"},
        protocol=fields["protocol"],
        seed=seed,
        cost=Cost(
            budget=fields["budget"],
            budget_rule=fields["budget_rule"],
            images=fields["images"],
            images_per_stage={"all": fields["images"]},
            parameters=fields["parameters"],
            trained_parameters=fields["parameters"],
            network_calls_per_image=40.0,
            seconds=fields["seconds"],
        ),
        measurements=make_measurements(ONE | (values or {}), notes or {}),
    )
