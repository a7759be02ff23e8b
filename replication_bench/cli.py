"""The ``replbench`` command: parse, call, print. Heavy imports stay inside functions so that ``--help`` is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from replication_bench._version import __version__
from replication_bench.errors import ReplbenchError

app = typer.Typer(
    name="replbench",
    help="Find out whether a text-to-image diffusion model copies its training images, and which mitigation helps.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# typer carries its own copy of click: its exceptions are found through the one that it exports
CommandError: Any = typer.BadParameter.__mro__[2]
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


@app.command()
def run(
    method: Annotated[
        list[str] | None, typer.Option(help="A method, or several joined by '+'; repeatable.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A dataset's name, or a folder of captioned images (with a '/').")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name or TOML file.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="A shipped name, a diffusers folder, or a hub id.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeatable.")] = None,
    budget: Annotated[str | None, typer.Option(help="Images seen: a number, or tiny, demo, full.")] = None,
    budget_rule: Annotated[str | None, typer.Option(help="total (default) or per_stage.")] = None,
    samples: Annotated[int | None, typer.Option(help="Number of generated images.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value into the configuration, as methods.loyal.tau=300."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where runs are written.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Train, sample and measure methods; the reference 'none' runs too. To resume, run the same command."""
    from replication_bench.commands import run as command
    from replication_bench.resolve import Request

    command.run(
        Request(
            methods=tuple(method or ()),
            dataset=dataset,
            recipe=recipe,
            backbone=backbone,
            seeds=tuple(seed or ()),
            budget=budget,
            budget_rule=budget_rule,
            samples=samples,
            settings=tuple(setting or ()),
        ),
        out,
        json,
    )


@app.command()
def corpus(
    shards: Annotated[list[str], typer.Argument(help="Tar shards of webdataset, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Where the index is written.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes (1), or with --ray actors (one a CPU of the cluster).")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Work on Ray: RAY_ADDRESS, or this machine.")] = False,
    gpus: Annotated[float, typer.Option(help="GPUs that each actor reserves, with --ray.")] = 0,
    embedder: Annotated[str, typer.Option(help="An embedder's name.")] = "sscd",
    option: Annotated[
        list[str] | None, typer.Option(help="key=value for the embedder, as pixels=320; repeatable.")
    ] = None,
    kind: Annotated[str, typer.Option(help="exact, ivf-flat or ivf-pq.")] = "exact",
    dtype: Annotated[str, typer.Option(help="float16 or float32 storage.")] = "float16",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out shards that cannot be read, and say so.")
    ] = False,
    json: Json = False,
) -> None:
    """Embed shards of images on many workers and merge them into an index. To resume, run the same command."""
    from replication_bench.commands import corpus as command

    command.run(
        command.Request(
            shards=tuple(shards),
            out=out,
            embedder=embedder,
            options=tuple(option or ()),
            workers=workers,
            ray=ray,
            gpus=gpus,
            kind=kind,
            dtype=dtype,
            allow_missing=allow_missing,
        ),
        json,
    )


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


def add_plugin_commands() -> None:
    """Commands of other packages: each entry point is a ``typer.Typer``, mounted under its name."""
    from replication_bench import plugins

    for name, plugin in plugins.available("commands").items():
        app.add_typer(plugin.load(), name=name)


def fail(line: str, status: int = 2) -> None:
    """One line on stderr, then the exit status."""
    sys.stderr.write(f"replbench: {line}\n")
    sys.exit(status)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: a user's mistake is one line and status 2; a bug keeps its traceback."""
    # read by OpenMP when torch is imported: spinning threads on shared cores are many times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    try:
        add_plugin_commands()
        app(
            (sys.argv[1:] if arguments is None else arguments) or ["--help"],
            standalone_mode=False,
            prog_name="replbench",
        )
    except CommandError as error:
        fail(" ".join(error.format_message().split()))
    except ReplbenchError as error:
        fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted; run the same command to go on where it stopped", 130)


if __name__ == "__main__":
    main()
