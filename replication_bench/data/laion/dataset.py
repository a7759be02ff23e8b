"""Dataset ``laion-subset``: a subset of LAION that ``replbench data prepare laion-subset`` has made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from replication_bench.data.example import Embed, Splits
from replication_bench.data.images import decode_image
from replication_bench.data.laion.manifest import HELDOUT, NAME, TRAIN, Manifest, Row, examples, read_manifest
from replication_bench.data.laion.pack import SHARD, members, shard_path, shards_of
from replication_bench.data.laion.place import PREPARE, newest
from replication_bench.errors import DataError
from replication_bench.sources.shards import Shard


def opened(shard: Shard, row: Row, member: object) -> Image.Image:
    """The image of a row."""
    return decode_image(shard.read(member), f"{shard.path}: {row.member}").image  # type: ignore[arg-type]


def loaders(folder: Path, manifest: Manifest) -> dict[str, Callable[[], Image.Image]]:
    """What opens each image, by id.

    Raises:
        DataError: a shard is missing, cut or another one.
    """
    found: dict[str, Callable[[], Image.Image]] = {}
    for group in shards_of(manifest.arrived):
        path = shard_path(folder, int(group[0].id) // SHARD)
        names, shard = members(path), Shard(path)
        whole = [row for row in group if row.member in names and names[row.member].size == row.bytes]
        if len(whole) < len(group):
            raise DataError(
                "the shard is not whole" if path.exists() else "a shard is missing",
                where=path,
                got=f"{len(whole)} of {len(group)} images",
                hint=f"Run 'replbench data prepare laion-subset --out {folder}': it fetches what is missing.",
            )
        found |= {row.id: partial(opened, shard, row, names[row.member]) for row in group}
    return found


def note(manifest: Manifest) -> str:
    """What must stand beside every number."""
    facts, split = manifest.facts, manifest.facts["split"]
    kind = "equal content" if split["by"] == "none" else f"{split['by']} above {split['threshold']:g}"
    return (
        f"laion-subset: {facts['arrived']} of {facts['picked']} links gave an image; "
        f"{facts['asked']['heldout_share']:.0%} held out by content, images of {kind} kept on one side."
    )


@dataclass(frozen=True)
class LaionSubset:
    """A prepared subset of LAION: links picked by a seeded hash, downloaded once, verified by hash.

    Args:
        path: the folder of ``replbench data prepare``; empty for the one that was prepared last on this machine.
    """

    path: str = ""

    def load(self, embed: Embed | None = None) -> Splits:
        """The two splits; they stand in the manifest, so ``embed`` is not used.

        Raises:
            DataError: nothing is prepared, or what was prepared is damaged.
        """
        folder = Path(self.path).expanduser() if self.path else newest()
        if not (folder / NAME).exists():
            raise DataError(
                "no subset of LAION in the folder",
                where=folder,
                want=NAME,
                hint=f"Run '{PREPARE} --out {folder}'; the dataset 'openmoji' needs no preparation.",
            )
        manifest = read_manifest(folder / NAME)
        load = loaders(folder, manifest)
        train, heldout = (
            examples(manifest.rows, split, lambda row: load[row.id]) for split in (TRAIN, HELDOUT)
        )
        return Splits(train, heldout, note=note(manifest))
