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
Together = Annotated[bool, typer.Option("--together", help="Refuse results that need more than one board.")]
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
    track: Annotated[
        str, typer.Option(help="Send losses, metrics and samples to none, tensorboard, wandb or mlflow.")
    ] = "none",
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
        track,
    )


@app.command()
def score(
    generated: Annotated[Path, typer.Option(help="Features of the generated images, .npy [rows, features].")],
    train: Annotated[Path, typer.Option(help="Features of the training images.")],
    heldout: Annotated[
        Path | None, typer.Option(help="Features of real images that were not trained on.")
    ] = None,
    k: Annotated[int, typer.Option(help="Neighbours of precision, recall, density and coverage.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    bootstrap: Annotated[int, typer.Option(help="Draws for each interval.")] = 1000,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    json: Json = False,
) -> None:
    """Measure feature arrays that you already have."""
    from replication_bench.commands import score as command

    command.run(command.Asked(generated, train, heldout, k, seed, bootstrap, confidence), json)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN_A")],
    b: Annotated[Path, typer.Argument(help="Another on the same prompts and seed.", metavar="RUN_B")],
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the permutations.")] = 0,
    bootstrap: Annotated[int, typer.Option(help="Draws and permutations.")] = 1000,
    json: Json = False,
) -> None:
    """Compare two runs image by image: differences, p-values, images that turned from copy to original."""
    from replication_bench.commands import compare as command

    command.run(a, b, seed, bootstrap, json)


@app.command()
def audit(
    generated: Annotated[
        str, typer.Option(help="Generated images: a folder, tar shards, a parquet of paths.")
    ],
    train: Annotated[str, typer.Option(help="Training images: the same kinds, or a saved index.")],
    heldout: Annotated[
        str | None, typer.Option(help="Real images that were not trained on: they calibrate what is a copy.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts of the generated images, one a line in their natural order.")
    ] = None,
    embedder: Annotated[
        list[str] | None, typer.Option(help="NAME, NAME@PROTOCOL or NAME@PROTOCOL,key=value; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; a folder in audits/ where left out.")
    ] = None,
    duplicate_threshold: Annotated[
        float, typer.Option(help="Training images more alike than this are repeated images.")
    ] = 0.75,
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
    setting: Annotated[list[str] | None, typer.Option("--set", help="As measure.bootstrap=200.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare unlike protocols, marked; replace another audit.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare a folder of generated images with a folder of training images and show the copies."""
    from replication_bench.audit.request import AuditRequest
    from replication_bench.commands import audit as command

    request = AuditRequest(
        generated=generated,
        train=train,
        heldout=heldout,
        prompts=prompts,
        embedders=tuple(embedder or ()),
        settings=tuple(setting or ()),
        seed=seed,
        duplicate_threshold=duplicate_threshold,
        force=force,
    )
    command.run(request, out, json)


@app.command()
def index(
    images: Annotated[str, typer.Argument(help="A folder, tar shards or a parquet of paths.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="Folder of the index.")],
    embedder: Annotated[str | None, typer.Option(help="As in audit.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="As in audit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an index of another protocol.")] = False,
    json: Json = False,
) -> None:
    """Embed a training set once for many audits; run it again to embed only what changed."""
    from replication_bench.commands import index as command

    command.run(images, out, embedder, tuple(setting or ()), force, json)


@app.command()
def duplicates(
    images: Annotated[
        str, typer.Argument(help="A folder, tar shards, a parquet of paths or an index.", metavar="DIR")
    ],
    embedder: Annotated[str | None, typer.Option(help="As in audit.")] = None,
    threshold: Annotated[float, typer.Option(help="Similarity above which two images are linked.")] = 0.75,
    setting: Annotated[list[str] | None, typer.Option("--set", help="As in audit.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the groups here, .json or .csv.")] = None,
    json: Json = False,
) -> None:
    """Groups of near-duplicates in a set of images: repeated images are the ones that models copy."""
    from replication_bench.commands import duplicates as command

    command.run(images, embedder, threshold, tuple(setting or ()), out, json)


@app.command()
def leaderboard(
    runs: Annotated[list[str], typer.Argument(help="Results, folders of runs, or patterns.")],
    sort: Annotated[str, typer.Option(help="Rank by this metric or column, in its own direction.")] = "R",
    form: Annotated[str, typer.Option("--format", help="table, md, csv, tex or json.")] = "table",
    reference: Annotated[str, typer.Option(help="Reductions are counted from this method.")] = "none",
    together: Together = False,
) -> None:
    """The table of finished runs: who copies less, how sure, at what cost."""
    from replication_bench.commands import leaderboard as command

    command.show(runs, form, reference=reference, sort=sort, together=together)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="Results, folders of runs, or patterns.")],
    out: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("report"),
    redact: Annotated[
        bool, typer.Option("--redact", help="Leave out training images and captions; blur generated images.")
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
        redact=redact,
        blur=blur,
        sort=sort,
        reference=reference,
        gallery=gallery,
        thumbnail=thumbnail,
        title=title,
        together=together,
    )


@app.command()
def watch(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or a folder of runs.")] = Path("runs"),
    once: Annotated[bool, typer.Option("--once", help="Show it once and stop.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Progress, losses and samples of a run while it works."""
    from replication_bench.commands import watch as command

    command.watch(run, once, interval)


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
