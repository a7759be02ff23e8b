"""Cross-attention rescaling (Ren et al., arXiv 2403.11052; renjie3/MemAttn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.sampling.attention import (
    attentions_in,
    by_timestep,
    cross_attentions,
    on_output,
    standing,
    with_mask,
)
from baselines.sampling.published import run_by_jain
from replication_bench import ranges
from replication_bench.denoiser import Denoiser
from replication_bench.method import Context, Method, Reported, SampleBatch


@dataclass(frozen=True)
class Ren(Method):
    """Hide the padding from cross-attention, and multiply the begin token's logit by ``scale``.

    The mask is the prompt's for both halves, the logit is scaled in the conditional half alone, as in the authors'
    code (``AttnProcessor2_0`` of refactored_classes/refactored_attention_processor.py).

    Attributes:
        scale: c1; the authors use 1.25, others 1.1 to 1.35; 1 leaves the logit as it is.
        mask: hide the tokens after the prompt's end token.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "cross-attention without padding and with a scaled begin token"
    paper: ClassVar[str] = "arXiv 2403.11052 (ECCV 2024)"
    kind = "sample"
    reported: ClassVar[tuple[Reported, ...]] = run_by_jain(0.6028)

    scale: float = 1.25
    mask: bool = True

    def __post_init__(self) -> None:
        ranges.positive("scale", self.scale)
        ranges.boolean("mask", self.mask)

    def check(self, ctx: Context) -> None:
        """Whether the backbone's U-Net has cross-attention; see ``attentions_in``."""
        attentions_in([ctx.backbone.unet])

    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser with rescaled cross-attention in every network that it reaches."""
        lengths = prompt_lengths(ctx.backbone.tokenizer, ctx.samples.prompts) if self.mask else None
        return Rescaled(denoiser, cross_attentions(denoiser, ctx), self.scale, lengths, ctx.samples)


def prompt_lengths(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Tokens of each prompt with its begin and end token, int64 [n]; at most the tokenizer's length."""
    ids = tokenizer(list(prompts), truncation=True, max_length=tokenizer.model_max_length)["input_ids"]
    return torch.tensor([len(row) for row in ids])


def padding_mask(lengths: Tensor, like: Tensor) -> Tensor:
    """An additive mask of the tokens from each row's length on, float [rows, 1, tokens]."""
    tokens = torch.arange(like.shape[1], device=like.device)
    hidden = tokens[None] >= lengths.to(like.device)[:, None]
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill(hidden, -torch.inf)[
        :, None
    ]


class Rescaled:
    """A denoiser whose cross-attention is changed while it is called.

    Scaling a key scales its logit, so a hook on the keys is enough, whatever computes the attention.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        attentions: Sequence[Any],
        scale: float,
        lengths: Tensor | None,
        samples: SampleBatch,
    ):
        self.denoiser, self.attentions, self.scale = denoiser, attentions, scale
        self.lengths, self.samples = lengths, samples

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``; row i belongs to sample i mod n."""
        return by_timestep(self.rescaled, x_t, t, cond)

    def rescaled(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The prediction for rows of one timestep."""
        blocks = len(cond) // len(self.samples.uncond)
        factors = self.factors(cond, blocks)
        handles = [on_output(attention.to_k, lambda keys: keys * factors) for attention in self.attentions]
        if self.lengths is not None:
            mask = padding_mask(self.lengths.repeat(blocks), cond)
            handles += [with_mask(attention, mask) for attention in self.attentions]
        with standing(handles):
            return self.denoiser(x_t, t, cond)

    def factors(self, cond: Tensor, blocks: int) -> Tensor:
        """What the keys are multiplied by, float [rows, tokens, 1]: 1 but at the begin token of conditional rows."""
        uncond = self.samples.uncond.repeat(blocks, 1, 1)
        conditional = (cond != uncond).flatten(1).any(1)
        factors = torch.ones(*cond.shape[:2], 1, dtype=cond.dtype, device=cond.device)
        factors[conditional, 0] = self.scale
        return factors
