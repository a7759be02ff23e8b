from __future__ import annotations

import pytest
import torch

from baselines.sampling.optimise import Target, minimise
from baselines.sampling.pairs import norms

START = torch.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])


def adamw(values: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(values, lr=0.5)


def test_a_sample_at_its_goal_is_left_to_the_bit_while_others_move() -> None:
    found = minimise(norms, START, adamw, 3, Target(1.0, relative=False))
    assert torch.equal(found[1], START[1])
    assert (norms(found)[[0, 2]] < norms(START)[[0, 2]]).all()


def test_a_batch_changes_no_samples_result() -> None:
    together = minimise(norms, START, adamw, 20, Target(0.5, relative=True))
    alone = [minimise(norms, row[None], adamw, 20, Target(0.5, relative=True)) for row in START]
    assert torch.equal(together, torch.cat(alone))


def test_one_step_is_that_of_the_optimiser() -> None:
    twin = START.clone().requires_grad_()
    optimiser = adamw([twin])
    norms(twin).sum().backward()
    optimiser.step()
    assert torch.equal(minimise(norms, START, adamw, 1, Target(0.1, relative=True)), twin.detach())


def test_a_sample_stops_at_the_first_value_at_or_below_its_goal() -> None:
    seen: list[torch.Tensor] = []

    def objective(values: torch.Tensor) -> torch.Tensor:
        seen.append(norms(values).detach())
        return norms(values)

    found = minimise(objective, START[:1], adamw, 100, Target(0.5, relative=True))
    assert 2 < len(seen) < 100
    assert all(value > 2.5 for value in seen[:-1])
    assert seen[-1] <= 2.5
    assert torch.equal(norms(found), seen[-1])


def test_a_relative_goal_is_a_share_of_what_lies_above_the_floor() -> None:
    start = torch.tensor([10.0, 4.0])
    assert Target(0.5, relative=True).goal(start).tolist() == [5.0, 2.0]
    assert Target(0.5, relative=True).goal(start, torch.tensor([6.0, 4.0])).tolist() == [8.0, 4.0]
    assert Target(3.0, relative=False).goal(start, torch.tensor([6.0, 4.0])).tolist() == [3.0, 3.0]


def test_weights_receive_no_gradient_and_no_grad_around_it_does_not_matter() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    with torch.no_grad():
        found = minimise(lambda values: norms(values * weight), START, adamw, 2, Target(0.1, relative=True))
    assert weight.grad is None
    assert not torch.equal(found, START)
    assert not found.requires_grad


@pytest.mark.parametrize("iterations", [1, 4])
def test_the_objective_is_evaluated_at_most_so_often(iterations: int) -> None:
    calls = []
    minimise(lambda v: (calls.append(0), norms(v))[1], START, adamw, iterations, Target(1e-9, relative=True))
    assert len(calls) == iterations
