"""Commands that measure images or vectors that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import Json, app


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
    workers: Annotated[int, typer.Option(help="Processes that embed.")] = 1,
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
        workers=workers,
    )
    command.run(request, out, json)


@app.command()
def index(
    images: Annotated[
        list[str], typer.Argument(help="A folder, tar shards or a parquet of paths.", metavar="PATH")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the index.")],
    embedder: Annotated[str | None, typer.Option(help="As in audit.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="As in audit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an index of another protocol.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that embed (1), or with --ray actors (one a CPU).")
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="Embed shards on Ray: RAY_ADDRESS, or this machine.")
    ] = False,
    gpus: Annotated[float, typer.Option(help="GPUs that each actor reserves, with --ray.")] = 0,
    json: Json = False,
) -> None:
    """Embed a training set once for many audits; run it again to embed only what changed.

    Several shards, or --ray, do what 'replbench corpus' does: each shard is embedded by itself, then all are merged.
    """
    from replication_bench.commands import index as command

    command.run(
        command.Asked(
            paths=tuple(images),
            out=out,
            embedder=embedder,
            settings=tuple(setting or ()),
            force=force,
            workers=workers,
            ray=ray,
            gpus=gpus,
        ),
        json,
    )


@app.command()
def duplicates(
    images: Annotated[
        str, typer.Argument(help="A folder, tar shards, a parquet of paths or an index.", metavar="DIR")
    ],
    embedder: Annotated[str | None, typer.Option(help="As in audit.")] = None,
    threshold: Annotated[float, typer.Option(help="Similarity above which two images are linked.")] = 0.75,
    setting: Annotated[list[str] | None, typer.Option("--set", help="As in audit.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the groups here, .json or .csv.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that embed.")] = 1,
    json: Json = False,
) -> None:
    """Groups of near-duplicates in a set of images: repeated images are the ones that models copy."""
    from replication_bench.commands import duplicates as command

    command.run(images, embedder, threshold, tuple(setting or ()), out, json, workers)


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
def corpus(
    shards: Annotated[list[str], typer.Argument(help="Tar shards of webdataset, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Where the index is written.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes (1), or with --ray actors (one a CPU of the cluster).")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Work on Ray: RAY_ADDRESS, or this machine.")] = False,
    gpus: Annotated[float, typer.Option(help="GPUs that each actor reserves, with --ray.")] = 0,
    embedder: Annotated[str, typer.Option(help="NAME, NAME@PROTOCOL or NAME@PROTOCOL,key=value.")] = "sscd",
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
