"""What a result tells a model card: what the folder lacks, how it was trained, what was measured and what was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from replication_bench.compose import Composition
from replication_bench.export.card import Card, shown, table
from replication_bench.export.component import Component
from replication_bench.export.trained import Trained
from replication_bench.method import Method
from replication_bench.results import Cost, Measurement, Result

SAMPLING = ("prompt", "condition", "initial", "wrap", "guide")
WHOLE = "Nothing of the method: all that it does is in the weights."
LACKING = (
    "{parts}. The numbers below were measured with it; images that this folder gives alone are not those images. "
    "`replbench run --method {names} --from FOLDER` samples with it."
)


def parts_of(trained: Trained) -> Iterator[tuple[str, Method]]:
    """The parts of a method by name."""
    method = trained.method
    parts = method.parts if isinstance(method, Composition) else (method,)
    return zip(trained.config.method.name.split("+"), parts, strict=True)


def sampling_parts(trained: Trained) -> dict[str, list[str]]:
    """The parts that change sampling, with their hooks: they cannot be in weights."""
    found = {name: [hook for hook in SAMPLING if part.overrides(hook)] for name, part in parts_of(trained)}
    return {name: hooks for name, hooks in found.items() if hooks}


def lacking(trained: Trained) -> str:
    """What of the method the folder does not hold."""
    found = sampling_parts(trained)
    if not found:
        return WHOLE
    parts = "; ".join(f"`{name}` changes sampling ({', '.join(hooks)})" for name, hooks in found.items())
    return LACKING.format(parts=parts, names="+".join(found))


def number(value: float) -> str:
    """Five digits."""
    return f"{value:.5g}"


def measured(result: Result) -> str:
    """Every number with its interval."""
    rows: list[tuple[object, ...]] = []
    for m in result.measurements:
        if m.value is None:
            continue
        between = "" if m.low is None or m.high is None else f"{number(m.low)} to {number(m.high)}"
        count = "" if m.n is None else m.n
        rows.append(
            (m.name, number(m.value), between, count, m.unit, m.better, m.embedder or "", m.note or "")
        )
    columns = ("metric", "value", "interval", "n", "unit", "better", "embedder", "note")
    return table(columns, rows) if rows else "Nothing."


def missing(measurements: tuple[Measurement, ...]) -> str:
    """What has no value, by reason."""
    reasons: dict[str, list[str]] = {}
    for m in measurements:
        if m.reason is not None:
            reasons.setdefault(m.reason, []).append(m.name)
    lines = [f"- {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return "\n".join(lines) or "Nothing is missing."


def parameters(result: Result) -> str:
    """The parameters of the method's parts; what looks like a path is shown by its last part."""
    rows: list[tuple[object, ...]] = [
        (part, name, Path(value).name if isinstance(value, str) and "/" in value else json.dumps(value))
        for part, options in result.ran.method.parameters.items()
        for name, value in options.items()
    ]
    return table(("method", "parameter", "value"), rows) if rows else "The method has no parameters."


def budget(cost: Cost) -> list[tuple[object, ...]]:
    """Images seen and parameters, or why they are not known."""
    if cost.reason is not None:
        return [("images seen", f"not known: {cost.reason}"), ("parameters", cost.parameters)]
    return [
        ("images seen", ", ".join(f"{stage}: {n}" for stage, n in cost.images_per_stage.items())),
        ("budget", f"{cost.budget}, rule {cost.budget_rule}"),
        ("parameters", f"{cost.parameters}, {cost.trained_parameters} of them trained"),
    ]


def training(result: Result) -> str:
    """Data, budget and cost."""
    method, backbone, cost = result.ran
    data = result.dataset
    rows: list[tuple[object, ...]] = [
        ("method", f"{method.name} ({method.distribution} {method.version})"),
        ("published in", method.paper or "nowhere: a control"),
        ("base model", f"{shown(backbone['name'])}, weights SHA-256 {backbone['sha256']}"),
        ("training set", f"{data.name}, {data.train} images ({data.heldout} held out)"),
        ("training set's fingerprint", data.fingerprint),
        *budget(cost),
        ("seed", result.seed),
        ("run", f"{result.id}, fingerprint {result.fingerprint}"),
    ]
    note = f"\n\n{data.note}" if data.note else ""
    return table(("", ""), rows) + note


def card_of(trained: Trained, component: Component, precision: str) -> Card:
    """The card of a finished run."""
    result, config = trained.result, trained.config
    sections = [
        ("What this folder does not contain", lacking(trained)),
        ("Training", training(result)),
        ("Parameters", parameters(result)),
        ("Measured", measured(result)),
        ("Not measured", missing(result.measurements)),
    ]
    if claims := result.ran.method.reported:
        said = [f"- {c['claim']}: {c['value']} {c['unit']} ({c['protocol']}; {c['source']})" for c in claims]
        sections.append(("Reported elsewhere, not measured here", "\n".join(said)))
    if result.notes:
        sections.append(("Notes", "\n".join(f"- {note}" for note in result.notes)))
    return Card(
        title=f"{result.ran.method.name} on {result.dataset.name}",
        component=component,
        precision=precision,
        pixels=trained.backbone.pixels,
        sample=config.sample,
        base=config.backbone,
        tags=tuple(config.method.name.split("+")),
        sections=tuple(sections),
    )
