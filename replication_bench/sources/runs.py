"""The images of a run of replbench: ``samples/`` with the captions they were generated from."""

from __future__ import annotations

import json
from pathlib import Path

from replication_bench.data.captions import Captions
from replication_bench.errors import DataError

SAMPLES, BATCHES = "samples", "batch-*.json"


def samples_of(folder: Path) -> Path | None:
    """The folder of a run's generated images; ``folder`` is the run or its ``samples``. None for other folders."""
    places = [folder / SAMPLES] if (folder / "config.json").is_file() else []
    places += [folder] if folder.resolve().name == SAMPLES else []
    return next((place for place in places if any(place.glob(BATCHES))), None)


def sample_captions(samples: Path) -> Captions:
    """Captions by image: those that prompts were made from, as the run's own measurements take them.

    Raises:
        DataError: a list of samples that a run did not write.
    """
    found: Captions = {}
    for path in sorted(samples.glob(BATCHES)):
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))["samples"]
            found |= {f"{entry['id']}.png": (str(entry["caption"]),) for entry in entries if entry["caption"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError("a run's list of samples cannot be read", where=path, got=error) from error
    return found
