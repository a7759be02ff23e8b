"""Commands that turn results into tables and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import Together, app


@app.command()
def leaderboard(
    runs: Annotated[list[str], typer.Argument(help="Results, folders of runs, or patterns.")],
    sort: Annotated[str, typer.Option(help="Rank by this metric or column, in its own direction.")] = "R",
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Show this column, and of the others only those named too; repeatable.", metavar="KEY"
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, md, csv, tex or json.")] = "table",
    reference: Annotated[str, typer.Option(help="Reductions are counted from this method.")] = "none",
    together: Together = False,
) -> None:
    """The table of finished runs: who copies less, how sure, at what cost."""
    from replication_bench.commands import leaderboard as command

    command.show(runs, form, reference=reference, sort=sort, columns=column or (), together=together)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="Results, folders of runs, or patterns.")],
    out: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("report"),
    show_training_images: Annotated[
        bool,
        typer.Option(
            "--show-training-images",
            help="Show training images and captions of every dataset; else only of those that anyone may see.",
        ),
    ] = False,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Leave out training images and captions of every dataset, and blur generated images.",
        ),
    ] = False,
    blur: Annotated[
        bool, typer.Option("--blur", help="As --redact, but training images are blurred and not left out.")
    ] = False,
    sort: Annotated[str, typer.Option(help="Rank by this metric or column, in its own direction.")] = "R",
    reference: Annotated[str, typer.Option(help="Reductions are counted from this method.")] = "none",
    gallery: Annotated[int, typer.Option(min=0, help="Largest number of pairs in the gallery.")] = 3000,
    thumbnail: Annotated[int, typer.Option(min=16, max=512, help="Pixels of a thumbnail.")] = 96,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Replication report",
    together: Together = False,
) -> None:
    """One page with leaderboard, pictures and the copies themselves; tables in four formats; every picture."""
    from replication_bench.commands import report as command

    command.build(
        runs,
        out,
        show_training_images=show_training_images,
        redact=redact,
        blur=blur,
        sort=sort,
        reference=reference,
        gallery=gallery,
        thumbnail=thumbnail,
        title=title,
        together=together,
    )
