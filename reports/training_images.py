"""Training images by id, opened again from the dataset that a result names; or why they cannot be."""

from __future__ import annotations

import json
from collections.abc import Mapping

from PIL import Image, ImageOps

from replication_bench.data.example import Example, Splits
from replication_bench.errors import ReplbenchError
from replication_bench.results import Result


class TrainingImages:
    """The datasets of a report, each loaded once. ``problems`` collects what could not be opened."""

    def __init__(self) -> None:
        self.datasets: dict[str, Mapping[str, Example]] = {}
        self.problems: dict[str, None] = {}

    def open(self, result: Result, name: str) -> Image.Image | None:
        """A training image of ``result``, cropped to a square as backbones see it; None where it is gone."""
        examples = self.examples(result)
        if name not in examples:
            if examples:
                self.problems[f"{result.dataset.name}: some training images are no longer there."] = None
            return None
        try:
            image = examples[name].load()
        except (ReplbenchError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            self.problems[f"{result.dataset.name}: some training images cannot be read."] = None
            return None
        return ImageOps.fit(image, (min(image.size),) * 2)

    def examples(self, result: Result) -> Mapping[str, Example]:
        """Every image of the dataset by id; empty where it is gone."""
        key = json.dumps([result.dataset.name, result.dataset.options], sort_keys=True, default=str)
        if key not in self.datasets:
            self.datasets[key] = self.resolve(result)
        return self.datasets[key]

    def resolve(self, result: Result) -> Mapping[str, Example]:
        """Load the dataset through its door."""
        from replication_bench import plugins

        try:
            splits: Splits = plugins.construct("datasets", result.dataset.name, result.dataset.options).load(
                None
            )
        except (ReplbenchError, OSError, ImportError) as error:
            self.problems[f"The training images of {result.dataset.name} cannot be shown: {error}"] = None
            return {}
        if splits.fingerprint != result.dataset.fingerprint:
            self.problems[
                f"{result.dataset.name}: training images were opened by their ids in the dataset as it is now "
                f"(fingerprint {splits.fingerprint[:12]}, in the result {result.dataset.fingerprint[:12]}); where a "
                "split depends on content this is expected, otherwise an image may have changed since the run."
            ] = None
        return {example.id: example for split in (splits.heldout, splits.train) for example in split}
