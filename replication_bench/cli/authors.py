"""Commands for who writes a method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import Json, app


@app.command("new-method")
def new_method(
    name: Annotated[str, typer.Argument(help="What the method is to be called, such as soft-hush.")],
    to: Annotated[Path | None, typer.Option(help="The new folder; ./NAME where it is left out.")] = None,
) -> None:
    """Write a small package with a method of that name: it installs, runs, and has a test."""
    from replication_bench.commands import new_method as command

    command.run(name, to)


@app.command()
def check(
    method: Annotated[str, typer.Argument(help="A method's name.")],
    skip: Annotated[list[str] | None, typer.Option(help="A check that is left out; repeatable.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the method, as methods.loyal.tau=300; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Whether a method keeps the contract: each check by name; exit status 1 where one is broken."""
    from replication_bench.commands import check as command

    command.run(method, json, tuple(skip or ()), tuple(setting or ()))
