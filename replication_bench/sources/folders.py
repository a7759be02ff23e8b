"""Folders of images, captions not required; runs of replbench and of DCR (``prompts.txt`` beside ``generations/``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from replication_bench.data.captions import Captions, captions_in_file, find_captions, read_text
from replication_bench.data.images import list_images
from replication_bench.data.others import others_in
from replication_bench.errors import DataError
from replication_bench.sources.runs import sample_captions, samples_of
from replication_bench.sources.source import Entry, Source, reading

PROMPTS, GENERATIONS = "prompts.txt", "generations"
FORMS = "Give --prompts a .jsonl or .csv with file_name and text, which names each image."


def dcr_prompts(folder: Path) -> tuple[Path, Path] | None:
    """The folder of images and the prompts of a run of DCR; ``folder`` is the run or its ``generations``."""
    if (folder / PROMPTS).is_file():
        return (folder / GENERATIONS if (folder / GENERATIONS).is_dir() else folder), folder / PROMPTS
    above = folder.resolve().parent / PROMPTS
    return (folder, above) if folder.resolve().name == GENERATIONS and above.is_file() else None


def lines_of(path: Path) -> list[str]:
    """The lines of a file of prompts, with or without a final newline; empty ones too, since their place counts."""
    text = read_text(path)
    return [line.strip() for line in text.removesuffix("\n").split("\n")] if text else []


def unfit(path: Path, lines: int, images: int, want: str) -> DataError:
    """The error for a number of prompts that does not fit the images."""
    return DataError(
        "the prompts are not one a generated image",
        where=path,
        got=f"{lines} lines",
        want=f"{images}, one for each image in natural order of names{want}",
        hint=FORMS,
    )


def read_prompts(path: Path, folder: Path, names: Sequence[str]) -> Captions:
    """Prompts by image: line i is the i-th image's in natural order, or a file of captions by file name.

    Raises:
        DataError: another number of lines than images, or a file that cannot be read.
    """
    if path.suffix in (".json", ".jsonl", ".csv"):
        return captions_in_file(path, folder, names)
    lines = lines_of(path)
    if len(lines) != len(names):
        raise unfit(path, len(lines), len(names), "")
    return {name: (line,) for name, line in zip(names, lines, strict=True)}


def read_dcr(path: Path, names: Sequence[str]) -> tuple[Captions, tuple[str, ...]]:
    """Prompts of a run of DCR, which writes one line for each batch of ``im_batch`` images of one prompt.

    The images of a batch are numbered one after the other (somepago/DCR, diff_inference.py): line i belongs to the
    images i k to i k + k - 1 in natural order.

    Returns:
        Prompts by image, and a note where k is more than 1.

    Raises:
        DataError: the images are no whole multiple of the lines, or the file cannot be read.
    """
    lines = lines_of(path)
    each, rest = divmod(len(names), len(lines)) if lines else (0, 0)
    if rest or not each:
        raise unfit(path, len(lines), len(names), ", or one for each k images in a row")
    notes = (
        f"{each} images in a row share a line of {PROMPTS}, as DCR writes them with im_batch {each}: "
        "false if that run was interrupted",
    )
    return {name: (lines[place // each],) for place, name in enumerate(names)}, notes if each > 1 else ()


def captions_of(
    folder: Path, names: Sequence[str], prompts: Path | None, dcr: Path | None, run: Path | None
) -> tuple[Captions, tuple[str, ...]]:
    """Captions with notes: those of ``--prompts``, else of a run, else what the folder has."""
    if prompts:
        return read_prompts(prompts, folder, names), ()
    if dcr:
        return read_dcr(dcr, names)
    return captions_or_note(lambda: sample_captions(run) if run else find_captions(folder, names))


def captions_or_note(find: Callable[[], Captions]) -> tuple[Captions, tuple[str, ...]]:
    """Captions where there are usable ones; an audit does without, so that a fault is a note and no error."""
    try:
        return find(), ()
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
    run = samples_of(folder)
    found = dcr_prompts(folder) if folder.is_dir() and not run else None
    folder, dcr = found or (run or folder, None)
    images = {file.relative_to(folder).as_posix(): file for file in list_images(folder)}
    captions, notes = captions_of(folder, list(images), prompts, dcr, run)
    entries = (Entry(name, reading(file), captions.get(name, ())) for name, file in images.items())
    others = others_in(folder)
    notes = (*notes, others) if others else notes
    kind = "dcr" if found else "run" if run else "folder"
    return Source(path, kind, tuple(entries), notes=notes)
