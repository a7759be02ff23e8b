"""Commands that train and sample, and that look at runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import Json, Metadata, app

Duplication = Annotated[
    str | None,
    typer.Option(help="nodup, dup_both or dup_image: 5 % of the training images stand 5 times."),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Sample a model that is fine-tuned already, without training: the folder of a run (methods go onto "
        "its own) or of a diffusers pipeline (name its images with --dataset).",
        metavar="RUN_OR_PIPELINE",
    ),
]
Offload = Annotated[
    bool, typer.Option("--offload", help="Sample with only the network of the timestep on the device.")
]
Prepare = Annotated[
    bool,
    typer.Option("--prepare", help="First do 'data prepare'; its options as --set prepare.size=1000."),
]

Sweep = Annotated[
    list[str] | None,
    typer.Option(
        help="key=a,b,c: one run for each value, as methods.loyal.tau=250,500,750. Repeatable; each varies alone."
    ),
]


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
        str | None,
        typer.Option(
            help="A shipped name, a diffusers folder, a .safetensors file, a hub id, or random:SHAPE."
        ),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Repeatable.")] = None,
    budget: Annotated[str | None, typer.Option(help="Images seen: a number, or tiny, demo, full.")] = None,
    budget_rule: Annotated[str | None, typer.Option(help="total (default) or per_stage.")] = None,
    samples: Annotated[int | None, typer.Option(help="Number of generated images.")] = None,
    duplication: Duplication = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value into the configuration, as methods.loyal.tau=300."),
    ] = None,
    sweep: Sweep = None,
    offload: Offload = False,
    origin: From = None,
    out: Annotated[Path, typer.Option(help="Where runs are written.")] = Path("runs"),
    prepare: Prepare = False,
    metadata: Metadata = None,
    track: Annotated[
        str, typer.Option(help="Send losses, metrics and samples to none, tensorboard, wandb or mlflow.")
    ] = "none",
    json: Json = False,
) -> None:
    """Train, sample and measure methods; the reference 'none' runs too. To resume, run the same command."""
    from replication_bench.commands import run as command
    from replication_bench.commands.prepare import split_settings
    from replication_bench.resolve import Request

    preparation, settings = split_settings(
        dataset, recipe, tuple(metadata or ()), tuple(setting or ()), prepare
    )
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
            sweeps=tuple(sweep or ()),
            duplication=duplication,
            settings=(*settings, *(("sample.offload=true",) if offload else ())),
            origin=None if origin is None else str(origin),
        ),
        out,
        json,
        track,
        preparation,
    )


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
def watch(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or a folder of runs.")] = Path("runs"),
    once: Annotated[bool, typer.Option("--once", help="Show it once and stop.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Progress, losses and samples of a run while it works."""
    from replication_bench.commands import watch as command

    command.watch(run, once, interval)
