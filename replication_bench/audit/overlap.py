"""Files that two sets of an audit share, where they should not."""

from __future__ import annotations

from replication_bench.audit.comparing import Compared
from replication_bench.errors import DataError


def identical_note(one: Compared) -> str:
    """That every generated image is a training file: then most likely one folder was given twice; else empty."""
    known = {row.sha256 for row in one.sets["train"].rows if row.sha256}
    made = one.sets["generated"].rows
    if not all(row.sha256 in known for row in made):
        return ""
    return (
        f"all {len(made)} generated images are byte-identical to training images: was one folder given twice?"
    )


def check_heldout(one: Compared) -> None:
    """DataError if held-out files are training files: the floor would be that of copies."""
    heldout = one.sets.get("heldout")
    if heldout is None:
        return
    known = {row.sha256: row.id for row in one.sets["train"].rows}
    if shared := [row for row in heldout.rows if row.sha256 in known]:
        got = f"{len(shared)} shared, first {shared[0].id} = {known[shared[0].sha256]}"
        raise DataError(
            "held-out images that are training images",
            where=heldout.facts.source,
            got=got,
            want="none shared",
        )
