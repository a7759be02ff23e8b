"""What the runs of one command share: dataset, backbone and embedder, loaded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from PIL import Image

from replication_bench import machine, plugins
from replication_bench.backbone import Backbone, to_images
from replication_bench.config import NamedOptions, RunConfig
from replication_bench.data.duplication import duplicated
from replication_bench.data.example import Example, Examples, Splits
from replication_bench.embedders import parse
from replication_bench.embedders.cache import embed, embed_cached
from replication_bench.embedders.protocol import Embedder, Vectors
from replication_bench.errors import DataError
from replication_bench.looks import Images
from replication_bench.metrics.metric import Rows
from replication_bench.processes import ALONE, Processes
from replication_bench.spaces import RowsOf, choose_further
from replication_bench.statistics.measuring import Step
from replication_bench.store import cache_folder


class Workbench:
    """Dataset, backbone and embedder of one command.

    Args:
        config: of any run of the command.
        device: None is the one that ``machine.choose_device`` chooses.
        processes: that run the command together.

    Raises:
        ReplbenchError: anything of these is unknown, missing or unusable.
    """

    def __init__(self, config: RunConfig, device: str | None = None, processes: Processes = ALONE):
        self.device, self.processes = device or machine.choose_device(), processes
        name, options = parse(config.measure.embedder)
        self.chosen = NamedOptions(name=name, options=options | config.measure.embedder_options)
        self.embedder: Embedder = plugins.construct("embedders", name, self.chosen.options)
        self.further = choose_further(config.measure)
        dataset = plugins.construct("datasets", config.dataset.name, config.dataset.options)
        with processes.main_first():
            self.splits: Splits = duplicated(dataset.load(self.embedder), config.duplication)
        if len(self.splits.train) < 2:
            raise DataError(
                "the training set is too small", got=f"{len(self.splits.train)} images", want="at least 2"
            )
        self.backbone = Backbone.load(config.backbone, self.device, config.train.pixels)

    @cached_property
    def training(self) -> Examples:
        """What methods are trained on: the training images, some of them several times."""
        return self.splits.train.repeated()

    def view(self, example: Example) -> Image.Image:
        """The image as the model saw it: resized and cropped to the backbone's side, 8 bit."""
        return to_images(self.backbone.to_tensor(example.load())[None])[0]

    def contents(self, examples: Examples) -> list[str]:
        """What the pixels of ``view`` depend on, a text an example."""
        return [f"{example.sha256}@{self.backbone.pixels}" for example in examples]

    def images(self, examples: Examples) -> Images:
        """Access to a split as the model saw it."""
        return Images(lambda i: self.view(examples[i]), len(examples), self.contents(examples))

    def vectors(
        self,
        examples: Examples,
        progress: Callable[[int], None],
        processes: Processes = ALONE,
        embedder: Embedder | None = None,
        raw: bool = False,
    ) -> Vectors:
        """Vectors of a split by the run's embedder, or a further one, from the cache; see ``embed_cached``."""
        return embed_cached(
            embedder or self.embedder,
            lambda i: self.view(examples[i]),
            self.contents(examples),
            cache_folder(),
            progress,
            processes,
            raw,
        )

    def rows_of(self, generated: Images, step: Step, processes: Processes = ALONE) -> RowsOf:
        """What further embedders make of generated images and of the splits; ``processes`` share the work."""

        def rows(embedder: Embedder, role: str, raw: bool) -> Rows:
            examples: Examples = getattr(self.splits, role, self.splits.train)
            count = generated.count if role == "generated" else len(examples)
            advance = step(f"{embedder.name}: {role}", count)
            if role == "generated":
                return embed(embedder, generated.load, count, advance, processes, raw)
            return self.vectors(examples, advance, processes, embedder, raw)

        return rows

    def ceiling_vectors(self, progress: Callable[[int], None]) -> Vectors:
        """Vectors of the training images after the backbone's own VAE round trip; all processes share the work."""
        train = self.splits.train
        contents = [f"{e.sha256}@{self.backbone.pixels}@{self.backbone.sha256}" for e in train]
        return embed_cached(
            self.embedder,
            lambda i: self.backbone.round_trip([train[i].load()])[0],
            contents,
            cache_folder(),
            progress,
            self.processes,
        )

    @cached_property
    def facts(self) -> dict[str, str]:
        """Hashes that stand in every fingerprint."""
        return {
            "dataset": self.splits.fingerprint,
            "backbone": self.backbone.sha256,
            "protocol": self.embedder.protocol.hash,
            **self.further.facts,
        }
