"""What a metric is: a declared name, unit, direction and source around a pure function of evidence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.floating]
Found = TypeVar("Found")
Direction = Literal["up", "down", "zero", "reference"]

NO_FLOATS: Floats = np.zeros(0, dtype=np.float32)
NO_INTS: Ints = np.zeros(0, dtype=np.int64)


class Features(NamedTuple):
    """Rows of the three kinds of images in a space of their own scale: float [g, d], [t, d], [h, d]."""

    generated: Rows
    train: Rows
    heldout: Rows


@dataclass(frozen=True)
class Alignment:
    """How well images fit their prompts, by an image-text model.

    Attributes:
        values: cosine of each generated image with its **original** prompt, float32 [g]; NaN where it has none.
        model: what the score is called: kind and weights, as shown beside the number.
        clip: whether the model is a CLIP; another model's score must not be called CLIP score.
        train: cosine of each training image with its first caption, [t], NaN where it has none; empty where it was
            not computed.
        truncated: prompts that the text encoder cut.
        embedder: name of the image-text embedder.
        protocol: hash of its protocol.
    """

    values: Floats
    model: str
    clip: bool = False
    train: Floats = field(default_factory=lambda: NO_FLOATS)
    truncated: int = 0
    embedder: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Complexity:
    """How much there is to see in each training image, float64 [t] each.

    Attributes:
        entropy: of the grey levels, bits.
        jpeg_kb: size as JPEG of quality 90, 1000 bytes.
        variation: mean absolute difference of neighbouring grey levels, 0 to 255.
    """

    entropy: NDArray[np.float64]
    jpeg_kb: NDArray[np.float64]
    variation: NDArray[np.float64]


# fields that go with the generated and with the held-out images when rows are drawn
WITH_GENERATED = (
    *("generated", "top1", "nearest", "own_prompt", "prompts"),
    *("carlini", "tiled_l2", "local", "local_source"),
)
WITH_HELDOUT = ("heldout", "floor", "local_floor")


@dataclass(frozen=True)
class Evidence:
    """Everything a metric may look at. ``replication_bench.evidence.build_evidence`` makes it.

    Only the first eight are always there. An optional array that is empty, or None, was not computed; ``why`` tells
    the reason.

    Attributes:
        generated: unit vectors float32 [g, d] of the generated images.
        train: unit vectors [t, d].
        heldout: unit vectors [h, d]; empty [0, d] where there is no held-out split.
        top1: similarity of each generated image to its nearest training image, [g].
        nearest: which training image that is, int64 [g].
        background: similarity of each training image to its nearest other one, self excluded by id, [t].
        floor: similarity of each held-out image to its nearest training image, [h].
        ceiling: similarity of each training image's VAE round trip to its nearest training image, [t]; empty
            where there is no backbone.
        features: what distances between distributions are taken on, where that is not the unit vectors.
        own_prompt: similarity to the nearest training image whose caption prompted the sample, [g]; NaN where no
            caption is the prompt.
        prompts: number of the prompt of each generated image, int64 [g]; images of one prompt are drawn together.
        carlini: pixel distance to the nearest training image over half the mean of the 50 nearest, [g].
        tiled_l2: smallest over training images of the largest distance of a tile, [g].
        local: largest over training images of the similarity of the best half of tiles, [g].
        local_source: which training image that is, int64 [g].
        local_floor: the same of the held-out images, [h].
        complexity: of the training images.
        duplicates: training images alike to each one, itself included, int64 [t].
        alignment: of generated images with their prompts.
        spaces: evidence in the spaces of further embedders, by the embedder's name.
        embedder: name of the embedder; empty for that of the run.
        protocol: hash of its protocol.
        protocol_name: its protocol's name, as shown beside numbers.
        trained: which published weights the embedder has, such as SSCD's ``disc_mixup``; empty where that is not known.
        neighbours: k of precision, recall, density and coverage.
        reasons: why an optional part is missing, by its name.
    """

    generated: Floats
    train: Floats
    heldout: Floats
    top1: Floats
    nearest: Ints
    background: Floats
    floor: Floats
    ceiling: Floats
    features: Features | None = None
    own_prompt: Floats = field(default_factory=lambda: NO_FLOATS)
    prompts: Ints = field(default_factory=lambda: NO_INTS)
    carlini: Floats = field(default_factory=lambda: NO_FLOATS)
    tiled_l2: Floats = field(default_factory=lambda: NO_FLOATS)
    local: Floats = field(default_factory=lambda: NO_FLOATS)
    local_source: Ints = field(default_factory=lambda: NO_INTS)
    local_floor: Floats = field(default_factory=lambda: NO_FLOATS)
    complexity: Complexity | None = None
    duplicates: Ints = field(default_factory=lambda: NO_INTS)
    alignment: Alignment | None = None
    spaces: Mapping[str, Evidence] = field(default_factory=dict)
    embedder: str = ""
    protocol: str = ""
    protocol_name: str = ""
    trained: str = ""
    neighbours: int = 5
    reasons: Mapping[str, str] = field(default_factory=dict)
    memory: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def why(self, name: str, default: str) -> str:
        """Why the optional part ``name`` is missing."""
        return self.reasons.get(name, default)

    @property
    def features_lost(self) -> str | None:
        """Why there are no features although the embedder gives some; unit vectors must not stand for them."""
        return self.reasons.get("features")

    def once(self, key: Hashable, make: Callable[[], Found]) -> Found:
        """``make()``, computed the first time that ``key`` is asked for; values and intervals share it."""
        if key not in self.memory:
            self.memory[key] = make()
        found: Found = self.memory[key]
        return found

    def space(self, role: str) -> Evidence | None:
        """The evidence of the first embedder whose name begins with ``role``, or None."""
        return next((self.spaces[name] for name in self.spaces if name.startswith(role)), None)

    def rows(self, name: str) -> Rows:
        """The rows of ``generated``, ``train`` or ``heldout`` that distributions are compared on."""
        found: Rows = getattr(self.features or self, name)
        return found

    @property
    def repeated_prompts(self) -> bool:
        """Whether several generated images share a prompt, so that they are not independent."""
        return self.once("repeated", lambda: len(np.unique(self.prompts)) < len(self.prompts))

    @property
    def groups(self) -> Ints | None:
        """The prompt of each generated image where some share one; None where images are independent."""
        return self.prompts if self.repeated_prompts else None

    def draw(self, rng: np.random.Generator) -> Ints:
        """Rows of generated images drawn with replacement: whole prompts where images share one."""
        if not self.repeated_prompts:
            return draw_rows(len(self.top1), rng)
        members = self.once("members", lambda: members_of(self.prompts))
        return draw_groups(members, rng)

    def resample(self, rng: np.random.Generator) -> Evidence:
        """A bootstrap draw: rows of every set drawn with replacement, rows that belong together kept together.

        Training vectors and what is known of each training image stay, since ``nearest`` points at them; so do
        ``features`` and ``spaces``, whose metrics bring intervals of their own.
        """
        g, h = self.draw(rng), draw_rows(len(self.floor), rng)
        t, c = draw_rows(len(self.background), rng), draw_rows(len(self.ceiling), rng)
        changed: dict[str, Any] = {name: taken(getattr(self, name), g) for name in WITH_GENERATED}
        changed |= {name: taken(getattr(self, name), h) for name in WITH_HELDOUT}
        if self.alignment is not None:
            own = draw_rows(len(self.alignment.train), rng)
            changed["alignment"] = replace(
                self.alignment, values=self.alignment.values[g], train=self.alignment.train[own]
            )
        return replace(self, background=self.background[t], ceiling=self.ceiling[c], **changed)


def draw_rows(n: int, rng: np.random.Generator) -> Ints:
    """n of n rows with replacement."""
    return rng.integers(n, size=n) if n else NO_INTS


def draw_groups(members: Sequence[Ints], rng: np.random.Generator) -> Ints:
    """The rows of n of n groups with replacement, given the rows of each."""
    return np.concatenate([members[i] for i in draw_rows(len(members), rng)])


def taken(rows: NDArray[Any], index: Ints) -> NDArray[Any]:
    """The rows at ``index``; what was not computed stays empty."""
    return rows[index] if len(rows) else rows


def members_of(groups: Ints) -> list[Ints]:
    """The rows of each group, in the order of the groups' numbers."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return [np.asarray(rows, dtype=np.int64) for rows in np.split(order, starts)]


Value = float | str  # a number, or the reason why there is none
OwnInterval = Callable[[Evidence, np.random.Generator, int, float], "tuple[float, float] | None"]


@dataclass(frozen=True)
class Metric:
    """One declared metric.

    Attributes:
        name: the key in results.
        unit: ``cosine``, ``share``, ``count``, ...
        better: the direction that is good.
        fn: evidence -> value, or the reason for its absence.
        source: paper and equation, or repository and file, of the definition.
        n: evidence -> number of rows the value rests on.
        interval: ``bootstrap`` over the rows of every set, ``wilson`` for a share (or percentage) of ``n``, ``own``
            where the metric computes it (``own_interval``), or None.
        note: evidence -> a warning that belongs beside the number, or None.
        about: one plain paragraph: what the number says.
        formula: the definition, in the words of docs/design.md.
        span: the range of values, and which of them are ideal.
        trap: what the number does not say.
        role: the beginning of the name of the embedder in whose space it is taken, as ``inception``; empty for the
            run's own.
        each: for a Wilson share of generated images that is slow to compute: what it is the mean of, bool [g].
        redrawn: whether ``fn`` may be called on bootstrap draws; False where it is slow or ignores them.
        everywhere: whether it is also taken in the space of every further embedder, as ``name:embedder``.
        whose: evidence -> name and protocol of the embedder it rests on, where that is not the evidence's own.
    """

    name: str
    unit: str
    better: Direction
    fn: Callable[[Evidence], Value]
    source: str
    n: Callable[[Evidence], int]
    interval: Literal["bootstrap", "wilson", "own"] | None = "bootstrap"
    own_interval: OwnInterval | None = None
    note: Callable[[Evidence], str | None] = lambda evidence: None
    about: str = ""
    formula: str = ""
    span: str = ""
    trap: str = ""
    role: str = ""
    each: Callable[[Evidence], NDArray[np.bool_]] | None = None
    redrawn: bool = True
    everywhere: bool = False
    whose: Callable[[Evidence], tuple[str, str] | None] = lambda evidence: None


def described(
    *metrics: Metric, about: str, formula: str, span: str = "", trap: str = ""
) -> tuple[Metric, ...]:
    """``metrics`` of one family with the text that stands behind their names."""
    return tuple(replace(m, about=about, formula=formula, span=span, trap=trap) for m in metrics)


def joined(families: Iterable[Iterable[Metric]]) -> tuple[Metric, ...]:
    """The metrics of several families in order."""
    return tuple(metric for family in families for metric in family)


def count_generated(evidence: Evidence) -> int:
    """Number of generated images."""
    return len(evidence.top1)
