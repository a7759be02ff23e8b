from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from loyal.routing import Routed


class Recorder(nn.Module):
    """Predicts ``scale * (x_t + t + cond)`` row by row and remembers the timesteps it saw."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.seen: list[list[int]] = []

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        self.seen.append(t.tolist())
        return self.scale * (x_t + t[:, None, None, None] + cond.mean((1, 2))[:, None, None, None])


@pytest.fixture
def routed() -> Routed:
    return Routed(Recorder(1.0), Recorder(-2.0), tau=500)


def seen(routed: Routed) -> tuple[list[list[int]], list[list[int]]]:
    assert isinstance(routed.front, Recorder)
    assert isinstance(routed.tail, Recorder)
    return routed.front.seen, routed.tail.seen


def rows(n: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, 4, 2, 2, generator=rng), torch.randn(n, 3, 5, generator=rng)


def test_tau_belongs_to_the_tail(routed: Routed) -> None:
    x_t, cond = rows(4)
    routed(x_t, torch.tensor([499, 500, 0, 999]), cond)
    assert seen(routed) == ([[499, 0]], [[500, 999]])


def test_a_mixed_batch_equals_each_row_alone(routed: Routed) -> None:
    x_t, cond = rows(6)
    t = torch.tensor([700, 3, 500, 499, 12, 999])
    alone = [routed(x_t[i : i + 1], t[i : i + 1], cond[i : i + 1]) for i in range(6)]
    assert torch.equal(routed(x_t, t, cond), torch.cat(alone))


@pytest.mark.parametrize(("t", "front", "tail"), [(3, [[3, 3]], []), (501, [], [[501, 501]])])
@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_only_a_network_with_rows_is_called(
    routed: Routed, t: int, front: list[list[int]], tail: list[list[int]], shape: tuple[int, ...]
) -> None:
    x_t, cond = rows(2)
    assert routed(x_t, torch.full(shape, t), cond).shape == x_t.shape
    assert seen(routed) == (front, tail)


def test_gradients_reach_both_networks(routed: Routed) -> None:
    x_t, cond = rows(2)
    torch.autograd.backward(routed(x_t, torch.tensor([3, 700]), cond).square().sum())
    gradients = [parameter.grad for parameter in routed.parameters()]
    assert len(gradients) == 2
    assert all(gradient is not None and gradient != 0 for gradient in gradients)


def test_fifty_leading_steps_use_the_tail_for_half() -> None:
    steps = range(1, 1000, 20)
    routed = Routed(Recorder(1.0), Recorder(1.0), tau=500)
    x_t, cond = rows(1)
    for t in steps:
        routed(x_t, torch.tensor(t), cond)
    assert [len(calls) for calls in seen(routed)] == [25, 25]
