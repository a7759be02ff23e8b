"""Which value neurons carry a prompt: out-of-distribution activation, then what the first step cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from baselines.sampling.attention import standing
from baselines.sampling.pairs import row
from baselines.sampling.ssim import ssim
from replication_bench.backbone import Backbone
from replication_bench.prediction import noise_of

CHUNK = 64
TINY = 1e-12


class Moments(NamedTuple):
    """Mean and standard deviation of each neuron of a layer over the reference captions, each float [width]."""

    mean: Tensor
    std: Tensor


Statistics = list[Moments]


def activation(values: Tensor) -> Tensor:
    """A layer's value states [n, tokens, width] as one number a neuron: mean absolute value, float32 [n, width]."""
    return values.float().abs().mean(1)


def statistics(layers: Sequence[Any], captions: Sequence[str], backbone: Backbone) -> Statistics:
    """Moments of every layer, where the backbone computes; value layers see the text alone, so no network is called.

    The layers may be of another dtype, or wait on another device for their turn.
    """
    parts: list[list[Tensor]] = [[] for _ in layers]
    for start in range(0, len(captions), CHUNK):
        states = backbone.encode_text(captions[start : start + CHUNK])
        for part, layer in zip(parts, layers, strict=True):
            part.append(activation(layer.to_v(states.to(layer.to_v.weight))).to(states.device))
    return [Moments(values.mean(0), values.std(0)) for values in map(torch.cat, parts)]


def first_step_layers(layers: Sequence[Any], call: Callable[[], Any]) -> dict[int, Tensor]:
    """The layers that ``call`` runs through, by index, each with its activation [n, width].

    A routed method has further networks, which the first step does not reach.
    """
    found: dict[int, Tensor] = {}
    handles = [
        layer.to_v.register_forward_hook(
            lambda _module, _args, values, index=index: found.update({index: activation(values)})
        )
        for index, layer in enumerate(layers)
    ]
    with standing(handles):
        call()
    return dict(sorted(found.items()))


def stretched(values: Tensor) -> Tensor:
    """Every channel of every row mapped to [0, 1]."""
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    return (values - low) / (high - low).clamp_min(TINY)


def moved(prediction: Tensor, noise: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """What a first step makes of its noise: eps - x_T, stretched to [0, 1]."""
    return stretched(noise_of(prediction, noise, t, scheduler) - noise)


def likeness(steps: Sequence[Tensor]) -> Tensor:
    """Largest similarity of each first step to that of another noise, float [noises, n]; two noises or more."""
    found = torch.full((len(steps), len(steps[0])), -torch.inf, device=steps[0].device)
    for i in range(len(steps)):
        for j in range(i):
            found[[i, j]] = found[[i, j]].maximum(ssim(steps[i], steps[j]).to(found))
    return found


@dataclass
class NeuronSearch:
    """The search for a batch of prompts; masks are bool [n, neurons of all layers], True where blocked.

    Every evaluation calls the network with the whole batch, once for each noise.

    Attributes:
        activations: of each layer, float [n, width].
        reference: of each layer.
        noises: initial noises, each float [n, c, h, w].
        t: the first timestep, int64 [n].
        first_step: (noise, bool mask of the neurons that are kept) -> prediction.
        scheduler: of the backbone.
        alike: similarity of first steps above which they are alike.
        limits: what each prompt's similarity must stay below, float [n]; set by ``select``.
    """

    activations: list[Tensor]
    reference: Statistics
    noises: list[Tensor]
    t: Tensor
    first_step: Callable[[Tensor, Tensor], Tensor]
    scheduler: Any
    alike: float
    limits: Tensor = field(init=False)

    @property
    def widths(self) -> list[int]:
        """Neurons of each layer."""
        return [values.shape[1] for values in self.activations]

    @cached_property
    def deviation(self) -> Tensor:
        """|activation - mean| / std, float [n, neurons]."""
        layers = zip(self.activations, self.reference, strict=True)
        return torch.cat([(a - m.mean).abs() / m.std.clamp_min(TINY) for a, m in layers], dim=1)

    def steps(self, blocked: Tensor) -> list[Tensor]:
        """The first step's eps - x_T on every noise, stretched to [0, 1]."""
        predictions = [self.first_step(noise, ~blocked) for noise in self.noises]
        return [
            moved(prediction, noise, self.t, self.scheduler)
            for prediction, noise in zip(predictions, self.noises, strict=True)
        ]

    @cached_property
    def nothing(self) -> Tensor:
        """The mask that blocks nothing."""
        return torch.zeros_like(self.deviation, dtype=torch.bool)

    @cached_property
    def unblocked(self) -> list[Tensor]:
        """``steps`` of the network as it is."""
        return self.steps(self.nothing)

    @cached_property
    def looked_at(self) -> Tensor:
        """The noises whose first step is like that of another noise, bool [noises, n]: the prompt is memorised."""
        if len(self.noises) == 1:
            return torch.ones(1, len(self.nothing), dtype=torch.bool, device=self.nothing.device)
        return likeness(self.unblocked) > self.alike

    def score(self, blocked: Tensor) -> Tensor:
        """Largest similarity of a first step to the unblocked one over the noises looked at, float [n]."""
        pairs = zip(self.unblocked, self.steps(blocked), strict=True)
        values = torch.stack([ssim(before, after) for before, after in pairs])
        return values.masked_fill(~self.looked_at, -torch.inf).amax(0)

    def candidates(self, theta: float, top: int) -> Tensor:
        """Neurons that deviate by more than ``theta``, and the ``top`` largest activations of each layer."""
        largest = []
        for values in self.activations:
            chosen = torch.zeros_like(values, dtype=torch.bool)
            largest.append(chosen.scatter(1, values.topk(min(top, values.shape[1]), dim=1).indices, True))
        return (self.deviation > theta) | torch.cat(largest, dim=1)

    def select(self, thetas: Sequence[float], limit: float, top: bool) -> Tensor:
        """Lower theta for each memorised prompt until removing its candidates moves its first step below ``limit``.

        Where no theta suffices, the last candidates stay, and their similarity becomes that prompt's limit.
        """
        blocked, pending = self.nothing, self.looked_at.any(0)
        self.limits = torch.full(pending.shape, limit, device=pending.device)
        for index, theta in enumerate(thetas):
            if not pending.any():
                break
            blocked = torch.where(row(pending, blocked), self.candidates(theta, index if top else 0), blocked)
            score = self.score(blocked)
            if index == len(thetas) - 1:
                self.limits = torch.where(pending, self.limits.maximum(score), self.limits)
            pending = pending & (score > limit)
        return blocked

    def without_layers(self, blocked: Tensor) -> Tensor:
        """Give back whole layers that are not needed, the deepest first."""
        stops = torch.tensor(self.widths).cumsum(0).tolist()
        for start, stop in reversed(list(zip([0, *stops], stops, strict=False))):
            fewer = blocked.clone()
            fewer[:, start:stop] = False
            if not torch.equal(fewer, blocked):
                enough = self.score(fewer) < self.limits
                blocked = torch.where(row(enough, blocked), fewer, blocked)
        return blocked

    def without_neurons(self, blocked: Tensor, tries: int) -> Tensor:
        """Give back single neurons that are not needed; what ``tries`` evaluations do not reach stays blocked.

        They are tried in order, in groups that are halved where they cannot all be given back. Where giving back more
        never lowers the similarity, that ends where trying one by one does, in far fewer evaluations.
        """
        groups = [[order] if order else [] for order in map(self.order, blocked)]
        for _ in range(tries):
            if not any(groups):
                break
            tried = [waiting.pop() if waiting else [] for waiting in groups]
            fewer = blocked.clone()
            for prompt, group in enumerate(tried):
                fewer[prompt, group] = False
            enough = self.score(fewer) < self.limits
            blocked = torch.where(row(enough, blocked), fewer, blocked)
            for waiting, group, fine in zip(groups, tried, enough.tolist(), strict=True):
                if not fine and len(group) > 1:
                    middle = len(group) // 2
                    waiting += [group[middle:], group[:middle]]
        return blocked

    def order(self, blocked: Tensor) -> list[int]:
        """The blocked neurons of one prompt, bool [neurons]: deepest layer first, in order within a layer."""
        offsets = torch.tensor([0, *self.widths]).cumsum(0).tolist()
        parts = blocked.split(self.widths)
        return [
            offset + index
            for offset, part in reversed(list(zip(offsets[:-1], parts, strict=True)))
            for index in part.nonzero()[:, 0].tolist()
        ]
