"""``replbench loyal import``: the authors' checkpoints as a folder of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="LoyalDiffusion's own checkpoints.",
)


@app.callback()
def root() -> None:
    """LoyalDiffusion's own checkpoints."""


@app.command("import")
def import_checkpoints(
    front: Annotated[Path, typer.Argument(help="The folder checkpoint_front.")],
    tail: Annotated[Path, typer.Argument(help="The folder checkpoint_tail.")],
    to: Annotated[Path, typer.Option(help="The folder to write: new, empty, or an earlier export.")],
    base: Annotated[
        str, typer.Option(help="The pipeline for all but the U-Net; FRONT itself where left out.")
    ] = "",
    tau: Annotated[int, typer.Option(help="The first timestep of the tail; their --t_threshold.")] = 500,
    redraw: Annotated[
        str,
        typer.Option(help="For a tail without transfer blocks: skips to draw them for, as SC3,SC4, or none."),
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the drawn transfer blocks.")] = 0,
    precision: Annotated[str, typer.Option(help="Of the stored weights: fp32, fp16 or bf16.")] = "fp32",
) -> None:
    """Convert checkpoint_front and checkpoint_tail into a folder that stock diffusers loads."""
    from loyal.importing import Pair, import_pair
    from replication_bench.commands.export import how_to_load

    component = import_pair(Pair(front, tail, base, tau, redraw, seed, precision), to)
    typer.echo(f"{to}\n{how_to_load(to, component)}")
