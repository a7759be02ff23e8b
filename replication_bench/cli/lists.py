"""Commands that tell what is installed."""

from __future__ import annotations

from replication_bench.cli.app import Json, app


@app.command()
def methods(json: Json = False) -> None:
    """The installed methods."""
    listing("methods", json)


@app.command()
def datasets(json: Json = False) -> None:
    """The installed datasets."""
    listing("datasets", json)


@app.command()
def embedders(json: Json = False) -> None:
    """The installed embedders."""
    listing("embedders", json)


@app.command()
def backbones(json: Json = False) -> None:
    """The backbones that the package ships."""
    listing("backbones", json)


def listing(kind: str, json: bool) -> None:
    """Print one list."""
    from replication_bench.commands import listing as command

    command.show(kind, json)


@app.command()
def doctor(json: Json = False) -> None:
    """What this machine has: devices, weights, packages; what is missing, and how to get it."""
    from replication_bench.commands import doctor as command

    command.show(json)
