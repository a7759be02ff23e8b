"""The method ``df``: dual fusion of each training image and caption with a random object's.

Li et al. (arXiv 2309.07254, ICASSP 2024), as in ``diff_train.py`` of HowardLi0816/dual-fusion-diffusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from replication_bench import resolve
from replication_bench.acceleration import sent
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.encoding import Remembered, TextStates
from replication_bench.errors import DataError
from replication_bench.method import Batch, Context, Encoded, Method, Reported
from replication_bench.ranges import one_of, probability, text
from replication_bench.results import Measurement

PUBLIC = "public"
FUSIONS = ("embed_add", "tail_add", "no_add")
LATENTS_KEPT = 4096


def find_objects(name: str, ctx: Context) -> Examples:
    """The object images: the public split of the run's dataset or of another one; its training split if it has none.

    Raises:
        DataError: there are none.
        PluginError: an unknown dataset.
    """
    if name == PUBLIC:
        found = ctx.public or Examples(())
    else:
        splits = resolve.open_dataset(name).load(ctx.embedder)
        found = splits.public or splits.train
    if not found:
        raise DataError(
            "the dataset has no public images to fuse with",
            where="methods.df.objects",
            got=name,
            hint="Name another dataset or a folder of captioned images, for example methods.df.objects=openmoji.",
        )
    return found


class Objects:
    """Object images as latents and their captions as text states, each computed once while there is room."""

    def __init__(self, examples: Examples, backbone: Backbone):
        self.examples, self.backbone = examples, backbone
        self.states = TextStates(backbone)
        self.latents = Remembered(self.encode, LATENTS_KEPT)

    def encode(self, indices: list[int]) -> Tensor:
        """Scaled latents float [n, c, h, w] of the objects, scaled up or down to the training size."""
        images = torch.stack([self.backbone.to_tensor(self.examples[i].load()) for i in indices])
        return self.backbone.encode_images(images)

    def text(self, index: int, rng: torch.Generator) -> str:
        """`` with `` and a random caption of an object, in the place of the source's random synonym of its class."""
        captions = self.examples[index].captions
        return f" with {captions[int(torch.randint(len(captions), (), generator=rng))]}"


def fused(own: Tensor, other: Tensor, weight: float) -> Tensor:
    """``(1 - weight) own + weight other``."""
    return (1 - weight) * own + weight * other.to(own)


def tail_tokens(tokenizer: object, caption: str, text: str) -> list[int]:
    """Tokens of the caption, then of the object before the end token; a caption that leaves no room is cut.

    The object's tokens are cut only where they alone are too long.
    """
    own, other = (tokenizer(t, add_special_tokens=False).input_ids for t in (caption, text))  # type: ignore[operator]
    room: int = tokenizer.model_max_length - 2  # type: ignore[attr-defined]
    other = other[:room]
    inner = [*own[: room - len(other)], *other]
    return [tokenizer.bos_token_id, *inner, tokenizer.eos_token_id]  # type: ignore[attr-defined]


@torch.no_grad()
def tail_states(backbone: Backbone, captions: Sequence[str], texts: Sequence[str]) -> Tensor:
    """Text states float [n, length, width] of captions with their objects' tokens before the end token."""
    tokenizer = backbone.tokenizer
    rows = [tail_tokens(tokenizer, *pair) for pair in zip(captions, texts, strict=True)]
    length = tokenizer.model_max_length
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])
    states: Tensor = backbone.text_encoder(sent(ids, backbone.device))[0]
    return states


@dataclass(frozen=True)
class DualFusion(Method):
    """Each training row is fused with a random object: its latents, and its caption.

    The noise or velocity target follows from the fused latents. Sampling is left alone.

    Attributes:
        objects: ``public`` for the public split of the run's dataset, or the name of another dataset, or a folder of
            captioned images (with a ``/`` or a leading dot).
        w_lat: weight of the object's latents, in [0, 1].
        w_emb: weight of the object's text states for ``embed_add``, in [0, 1].
        fusion: of captions: ``embed_add`` mixes text states; ``tail_add`` puts the object's tokens before the end
            token; ``no_add`` leaves captions alone.

    Raises:
        ConfigError: a weight out of range or an unknown fusion.
    """

    summary: ClassVar[str] = "latents and captions are fused with those of random public objects"
    paper: ClassVar[str] = "arXiv 2309.07254 (ICASSP 2024)"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            claim="reduction of replication by generalised captions and dual fusion together",
            value=43.5,
            unit="%",
            protocol="SD 2.1, LAION, other protocol",
            source="arXiv 2309.07254 abstract",
        ),
    )

    objects: str = PUBLIC
    w_lat: float = 0.1
    w_emb: float = 0.5
    fusion: str = "embed_add"

    def __post_init__(self) -> None:
        probability("w_lat", self.w_lat)
        probability("w_emb", self.w_emb)
        text("objects", self.objects)
        one_of("fusion", self.fusion, FUSIONS)

    def pool(self, ctx: Context) -> Objects:
        """The objects, found once a run."""
        return ctx.remember(
            ("df objects", self.objects), lambda: Objects(find_objects(self.objects, ctx), ctx.backbone)
        )

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The same; refuses objects that are private or held-out images, left out by an earlier part or not.

        Raises:
            DataError: no objects, or private ones.
        """
        private = {example.sha256 for example in data} | ctx.reserved
        shared = sum(example.sha256 in private for example in self.pool(ctx).examples)
        if shared:
            raise DataError(
                "objects must not be training or held-out images",
                where="methods.df.objects",
                got=f"{shared} of them in '{self.objects}'",
            )
        return data

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """The fused latents and text states."""
        objects = self.pool(ctx)
        rows = torch.randint(len(objects.examples), (len(batch.captions),), generator=rng).tolist()
        texts = [objects.text(row, rng) for row in rows]
        latents = fused(encoded.latents, objects.latents(rows), self.w_lat)
        return Encoded(latents, self.fuse_captions(encoded.cond, batch.captions, texts, objects))

    def fuse_captions(
        self, cond: Tensor, captions: Sequence[str], texts: Sequence[str], objects: Objects
    ) -> Tensor:
        """Text states float [n, length, width] with the objects' texts."""
        if self.fusion == "no_add":
            return cond
        if self.fusion == "embed_add":
            return fused(cond, objects.states(texts), self.w_emb)
        # what the part before did to the text states of the captions is kept: only the difference is added
        longer = tail_states(objects.backbone, captions, texts)
        return cond + (longer - objects.states(captions)).to(cond)

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """``df_objects``: how many object images there were to draw from; the note holds their fingerprint."""
        examples = self.pool(ctx).examples
        note = f"objects '{self.objects}', fingerprint {examples.fingerprint[:12]}"
        return (*facts, Measurement(name="df_objects", value=len(examples), unit="count", note=note))
