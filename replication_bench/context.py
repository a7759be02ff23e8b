"""What the hooks of a method may look at: the run as a whole, and while sampling the batch at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, nn

from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.processes.rows import unchanged
from replication_bench.seeds import Seeds

if TYPE_CHECKING:
    from replication_bench.backbone import Backbone
    from replication_bench.data.example import Examples
    from replication_bench.embedders.protocol import Embedder, Vectors
    from replication_bench.method import Method

T = TypeVar("T")


@dataclass
class SampleBatch:
    """The samples that are generated together. Calls of a denoiser hold whole batches: row i is sample i mod n.

    Attributes:
        prompts: after the hook ``prompt``.
        noise: initial noise as the harness drew it, float [n, c, h, w] of unit variance.
        timesteps: of the sampler, the noisiest first; int64 [steps].
        scale: guidance scale.
        uncond: text states of the empty prompt, float [n, length, width]; after ``condition`` what that returned.
        scratch: room for hooks, new for each batch.
    """

    prompts: tuple[str, ...]
    noise: Tensor
    timesteps: Tensor
    scale: float
    uncond: Tensor
    scratch: dict[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """What a hook may look at.

    Attributes:
        backbone: the pretrained parts; frozen.
        train: training configuration; in a run no key whose ``auto`` can change a bit says ``auto``.
        sample: sampling configuration; the defaults while training, which runs that sample otherwise share.
        seeds: the run's random streams, for draws that belong to no step and no image.
        training: the examples that the networks learn from, after the hook ``dataset``.
        public: images of the dataset that are neither private nor held out; may be empty.
        reserved: content hashes of all private and held-out images of the dataset.
        method: the whole method of the run, for a part that must know what it is combined with; while training the
            parts that change training alone.
        embedder: the copy detector of the run.
        vectors: unit vectors float32 [n, d] of examples under ``embedder``, from the cache where they are there.
        networks: the trained networks in the order of the stages; empty while training.
        batch: the samples at hand; None while training.
        all_rows: for the hook ``loss``, turns values [m, ...] of the rows at hand into those of all rows that are
            computed together, in order and without gradient; they are more where several processes train.
        memo: what hooks remember through a run, see ``remember``.
    """

    backbone: Backbone
    train: TrainConfig
    sample: SampleConfig = field(default_factory=SampleConfig)
    seeds: Seeds = field(default_factory=lambda: Seeds(0))
    training: Examples | None = None
    public: Examples | None = None
    reserved: frozenset[str] = frozenset()
    method: Method | None = None
    embedder: Embedder | None = None
    vectors: Callable[[Examples], Vectors] | None = None
    networks: tuple[nn.Module, ...] = ()
    batch: SampleBatch | None = None
    all_rows: Callable[[Tensor], Tensor] = unchanged
    memo: dict[Any, Any] = field(default_factory=dict)

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """``make()`` at the first call with ``key``, the same value afterwards; a method keeps no state of its own."""
        if key not in self.memo:
            self.memo[key] = make()
        value: T = self.memo[key]
        return value

    @property
    def samples(self) -> SampleBatch:
        """The samples at hand, for hooks that only run while sampling."""
        assert self.batch is not None, "no samples outside sampling"
        return self.batch
