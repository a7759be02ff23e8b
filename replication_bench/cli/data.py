"""Commands that make datasets ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication_bench.cli.app import Json, Metadata, app

data = typer.Typer(help="Make datasets ready.", rich_markup_mode=None)
app.add_typer(data, name="data")


@data.callback()
def root() -> None:
    """Make datasets ready."""


@data.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="laion-subset.")],
    metadata: Metadata = None,
    size: Annotated[int | None, typer.Option(help="Links to pick (10000).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the choice (0).")] = None,
    out: Annotated[Path | None, typer.Option(help="Its folder; in the cache where left out.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="manifest.jsonl of another machine: verify its images, or fetch them.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Fetch dead links again.")] = False,
    min_side: Annotated[int | None, typer.Option(help="Least width and height in pixels (256).")] = None,
    max_aspect: Annotated[
        float | None, typer.Option(help="Longer side over shorter side (3); 0 for all.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Of the column LANGUAGE (en), or any.")] = None,
    max_punsafe: Annotated[float | None, typer.Option(help="Of the column punsafe (0.1); 1 for all.")] = None,
    nsfw: Annotated[str | None, typer.Option(help="Of the column NSFW (UNLIKELY), or any.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest area of an image (89478485).")] = None,
    url_column: Annotated[str | None, typer.Option(help="If it is not called url.")] = None,
    caption_column: Annotated[str | None, typer.Option(help="If it is not called text or caption.")] = None,
    heldout_share: Annotated[float | None, typer.Option(help="Of the groups of duplicates (0.1).")] = None,
    duplicate_threshold: Annotated[
        float | None, typer.Option(help="Similarity above which two images are one group (0.75).")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Judges near-duplicates (sscd); none for equal content only.")
    ] = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds that a server may be silent (10).")] = None,
    threads: Annotated[int | None, typer.Option(help="Links fetched at once (32).")] = None,
    img2dataset: Annotated[
        str | None, typer.Option(help="An img2dataset that is there; else one is installed once.")
    ] = None,
    json: Json = False,
) -> None:
    """Pick links of LAION, download them, verify them by hash, hold some out. To resume, run the same command."""
    from replication_bench.commands import prepare as command

    settings = {
        "metadata": tuple(metadata) if metadata else None,
        "size": size,
        "seed": seed,
        "min_side": min_side,
        "max_aspect": max_aspect,
        "language": language,
        "max_punsafe": max_punsafe,
        "nsfw": nsfw,
        "max_pixels": max_pixels,
        "url_column": url_column,
        "caption_column": caption_column,
        "heldout_share": heldout_share,
        "duplicate_threshold": duplicate_threshold,
        "embedder": embedder,
        "timeout": timeout,
        "threads": threads,
        "img2dataset": img2dataset,
    }
    command.run(command.Request(dataset, settings, out, manifest, retry), json)
