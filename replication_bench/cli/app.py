"""The command line's root, and the options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from replication_bench._version import __version__

app = typer.Typer(
    name="replbench",
    help="Find out whether a text-to-image diffusion model copies its training images, and which mitigation helps.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Together = Annotated[bool, typer.Option("--together", help="Refuse results that need more than one board.")]
Metadata = Annotated[
    list[str] | None,
    typer.Option(help="Parquet of links, a folder of them, or a pattern; repeatable.", metavar="PARQUET"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


def show_version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        typer.echo(f"replbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Shared options."""
