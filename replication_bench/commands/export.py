"""``replbench export``: a finished run as a folder that stock diffusers loads."""

from __future__ import annotations

import sys
from pathlib import Path

from replication_bench.export.component import Component, component_of
from replication_bench.export.folder import Contents, check_target, write_export
from replication_bench.export.told import card_of, sampling_parts
from replication_bench.export.trained import Trained, finished_result, open_trained
from replication_bench.sampling import new_scheduler


def contents_of(trained: Trained, precision: str) -> Contents:
    """Everything that the folder of a run holds."""
    component = component_of(trained.denoiser, trained.config.method.name)
    result = trained.result
    return Contents(
        backbone=trained.backbone,
        component=component,
        scheduler=new_scheduler(trained.backbone, trained.config.sample),
        precision=precision,
        facts={"method": result.ran.method.name, "run": result.id, "fingerprint": result.fingerprint},
        card=card_of(trained, component, precision).text,
    )


def how_to_load(to: Path, component: Component) -> str:
    """The call that loads the folder."""
    flag = "" if component.file is None else ", trust_remote_code=True"
    return f'DiffusionPipeline.from_pretrained("{to}"{flag})'


def run(folder: Path, to: Path, precision: str) -> None:
    """Open, write, say how to load it.

    Raises:
        ReplbenchError: nothing to export, a method that cannot be, or a target that is taken.
    """
    check_target(to, precision)
    finished_result(folder)
    trained = open_trained(folder)
    contents = contents_of(trained, precision)
    write_export(to, contents)
    left = sampling_parts(trained)
    if left:
        sys.stderr.write(f"replbench: not in the folder, since it changes sampling: {', '.join(left)}\n")
    sys.stdout.write(f"{to}\n{how_to_load(to, contents.component)}\n")
