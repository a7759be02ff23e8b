"""``replbench doctor``: what is there, what is missing, how to get it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.text import Text

from replication_bench.errors import ReplbenchError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    name: str
    ok: bool
    detail: str


def probe(name: str, look: Callable[[], str]) -> Finding:
    """Look for one thing; a missing one tells how to get it."""
    try:
        return Finding(name, True, look())
    except ReplbenchError as error:
        return Finding(name, False, str(error))


def device() -> str:
    """The device and its native precision."""
    import torch

    from replication_bench import machine

    chosen = machine.choose_device()
    name = torch.cuda.get_device_name() if chosen == "cuda" else f"{os.cpu_count()} cores"
    return (
        f"{chosen} ({name}); bf16 {'native' if machine.computes_bf16(chosen) else 'not native, fp32 is used'}"
    )


def packages() -> str:
    """Versions of the packages that can change a number."""
    from replication_bench import machine

    return ", ".join(f"{name} {version}" for name, version in machine.package_versions().items())


def package(name: str) -> Callable[[], str]:
    """Whether a package is there that only some parts need."""

    def look() -> str:
        from replication_bench.extras import optional

        return optional(name)

    return look


def search() -> str:
    """Whether FAISS is there."""
    import numpy as np

    from replication_bench.search import flat_index

    flat_index(np.eye(2, dtype=np.float32))
    return "exact search works"


def sscd() -> str:
    """Whether SSCD weights are there."""
    from replication_bench.embedders.sscd_onnx import Sscd

    protocol = Sscd().protocol
    return f"{protocol.name}, protocol {protocol.hash[:12]}"


def embedder(name: str) -> Callable[[], str]:
    """Whether the weights of an embedder are there."""

    def look() -> str:
        from replication_bench import plugins

        target = plugins.load("embedders", name)
        return target.weights_found() if hasattr(target, "weights_found") else "does not tell"

    return look


def embedder_names() -> list[str]:
    """Every embedder but ``sscd``, which has a line of its own."""
    from replication_bench import plugins

    return [name for name in plugins.available("embedders") if name != "sscd"]


def dataset(name: str) -> Callable[[], str]:
    """Whether an embedded dataset is there."""

    def look() -> str:
        from replication_bench import plugins

        splits = plugins.load("datasets", name)().load()
        return f"{len(splits.train)} train, {len(splits.heldout)} held out, {len(splits.public)} public"

    return look


def backbones() -> str:
    """The shipped backbones."""
    from replication_bench.pretrained import packaged_backbones

    return ", ".join(packaged_backbones()) or "none shipped"


def show(as_json: bool) -> None:
    """Print every finding."""
    from replication_bench.extras import OPTIONAL

    looks: dict[str, Callable[[], str]] = {
        "device": device,
        "packages": packages,
        **{f"optional package {name}": package(name) for name in OPTIONAL},
        "search": search,
        "SSCD weights": sscd,
        **{f"embedder {name}": embedder(name) for name in embedder_names()},
        "backbones": backbones,
        "dataset openmoji": dataset("openmoji"),
        "dataset stamps": dataset("stamps"),
        "dataset laion-subset": dataset("laion-subset"),
    }
    findings = [probe(name, look) for name, look in looks.items()]
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")
        return
    console = Console()
    for finding in findings:
        mark = Text("ok      ", "green") if finding.ok else Text("missing ", "yellow")
        # a path or an address that is cut in two cannot be copied
        console.print(mark, Text(f"{finding.name}: {finding.detail}"), soft_wrap=True)
