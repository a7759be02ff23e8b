"""``replbench generalise``: write a caption file for ``gc`` or ``mc`` without a language model or a network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from replication_bench.data.example import Example

app = typer.Typer(add_completion=False, rich_markup_mode=None, subcommand_metavar="")


@app.callback(invoke_without_command=True)
def generalise(
    dataset: Annotated[
        str, typer.Option(help="A dataset's name, or a folder of captioned images (with a '/').")
    ],
    out: Annotated[Path, typer.Option(help="The caption file to write, JSON lines.")],
    several: Annotated[bool, typer.Option("--several", help="Several captions an image, for 'mc'.")] = False,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: an option of the dataset, as size=192.")
    ] = None,
) -> None:
    """Write general captions of a dataset's images, made with WordNet, and print the generality score."""
    from baselines.lexicon.write import report, write

    examples = load(dataset, setting or ())
    captions = write(out, examples, several)
    typer.echo(f"{len(captions)} images -> {out}")
    typer.echo(
        report([example.captions[0] for example in examples], [texts[-1] for texts in captions.values()])
    )


def load(dataset: str, settings: Iterable[str]) -> list[Example]:
    """The private and held-out images of a dataset by name or folder."""
    from replication_bench import plugins, resolve
    from replication_bench.config import apply_setting

    table: dict[str, Any] = {"dataset": resolve.dataset_table(dataset, {})}
    for setting in settings:
        apply_setting(table, f"dataset.options.{setting}")
    section = table["dataset"]
    splits = plugins.construct("datasets", section["name"], section.get("options", {})).load()
    return [*splits.train, *splits.heldout]
