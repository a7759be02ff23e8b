"""Folders of images, captions not required; and the layout of DCR: ``prompts.txt`` beside ``generations/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from replication_bench.data.captions import Captions, captions_in_file, find_captions, read_text
from replication_bench.data.images import list_images
from replication_bench.data.others import others_in
from replication_bench.errors import DataError
from replication_bench.sources.source import Entry, Source, reading

PROMPTS, GENERATIONS = "prompts.txt", "generations"
FORMS = "Give --prompts a .jsonl or .csv with file_name and text, which names each image."


def dcr_prompts(folder: Path) -> tuple[Path, Path] | None:
    """The folder of images and the prompts of a run of DCR; ``folder`` is the run or its ``generations``."""
    if (folder / PROMPTS).is_file():
        return (folder / GENERATIONS if (folder / GENERATIONS).is_dir() else folder), folder / PROMPTS
    above = folder.resolve().parent / PROMPTS
    return (folder, above) if folder.resolve().name == GENERATIONS and above.is_file() else None


def read_prompts(path: Path, folder: Path, names: Sequence[str]) -> Captions:
    """Prompts by image: line i is the i-th image's in natural order, or a file of captions by file name.

    Raises:
        DataError: another number of lines than images, or a file that cannot be read.
    """
    if path.suffix in (".json", ".jsonl", ".csv"):
        return captions_in_file(path, folder, names)
    text = read_text(path)
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) != len(names):
        raise DataError(
            "the prompts are not one a generated image",
            where=path,
            got=f"{len(lines)} lines",
            want=f"{len(names)}, one for each image in natural order of names",
            hint=FORMS,
        )
    return {name: (line.strip(),) for name, line in zip(names, lines, strict=True)}


def captions_or_note(folder: Path, names: Sequence[str]) -> tuple[Captions, tuple[str, ...]]:
    """Captions where the folder has usable ones; an audit does without, so that a fault is a note and no error."""
    try:
        return find_captions(folder, names), ()
    except DataError as error:
        return {}, (f"captions are not used: {error}",)


def open_folder(path: str, prompts: Path | None = None) -> Source:
    """A folder as a source; ids are paths relative to it.

    Args:
        path: the folder.
        prompts: a file of prompts for these images.

    Raises:
        DataError: no images, or prompts that do not fit.
    """
    folder = Path(path).expanduser()
    found = dcr_prompts(folder) if folder.is_dir() else None
    if found:
        folder, prompts = found[0], prompts or found[1]
    images = {file.relative_to(folder).as_posix(): file for file in list_images(folder)}
    captions, notes = (
        (read_prompts(prompts, folder, list(images)), ())
        if prompts
        else captions_or_note(folder, list(images))
    )
    entries = (Entry(name, reading(file), captions.get(name, ())) for name, file in images.items())
    others = others_in(folder)
    notes = (*notes, others) if others else notes
    return Source(path, "dcr" if found else "folder", tuple(entries), notes=notes)
