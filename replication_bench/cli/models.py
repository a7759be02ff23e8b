"""Commands that hand trained models on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import app


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    to: Annotated[Path, typer.Option(help="The folder to write: new, empty, or an earlier export.")],
    precision: Annotated[str, typer.Option(help="Of the stored weights: fp32, fp16 or bf16.")] = "fp32",
) -> None:
    """Write a trained run as a folder that stock diffusers loads, with a model card."""
    from replication_bench.commands import export as command

    command.run(run, to, precision)
