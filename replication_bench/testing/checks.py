"""``check_method``: does a method keep the contract of ``replication_bench.method``?

The checks have names and are generated, as scikit-learn's ``check_estimator`` does, so that a package can run
each as a test of its own::

    @pytest.mark.parametrize("check", method_checks(), ids=lambda check: check.__name__)
    def test_contract(check, tmp_path):
        check(Case(MyMethod(), load_backbone(slim_backbone(tmp_path))))
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor, nn

from replication_bench.method import HOOKS, TRAINING, Method, Stage
from replication_bench.ranges import one_of
from replication_bench.seeds import Seeds
from replication_bench.testing.case import ROWS, Case, expect, generator, load_backbone
from replication_bench.testing.composition import check_chained, check_owners
from replication_bench.testing.end_to_end import expect_valid, run_once
from replication_bench.testing.inputs import copies, hook_arguments, same
from replication_bench.testing.registry import registry
from replication_bench.testing.tiny import slim_backbone

Check = Callable[[Case], None]
CHECKS: list[Check] = []


named = registry(CHECKS)


@named
def check_default_constructible(case: Case) -> None:
    """Every hyper-parameter has a default."""
    expect(isinstance(type(case.method)(), Method), "calling the class does not give a Method")


@named
def check_frozen_dataclass(case: Case) -> None:
    """Hyper-parameters are the fields of a frozen dataclass and do not hide hooks."""
    own = type(case.method).__dict__.get("__dataclass_params__")
    expect(own is not None and own.frozen, "decorate the class with @dataclass(frozen=True)")
    hidden = [field.name for field in dataclasses.fields(case.method) if field.name in HOOKS]
    expect(not hidden, f"fields named like hooks: {', '.join(hidden)}")


@named
def check_json_round_trip(case: Case) -> None:
    """``asdict`` is provenance: through JSON and back it gives an equal method."""
    text = json.dumps(dataclasses.asdict(case.method))
    restored = type(case.method)(**json.loads(text))
    expect(restored == case.method, f"{case.method} comes back as {restored}; JSON turns tuples into lists")


@named
def check_kind(case: Case) -> None:
    """The kind is ``train`` or ``sample``, and what only samples leaves the trained weights alone."""
    kind = case.method.kind
    expect(kind in ("train", "sample"), f"kind is {kind!r}")
    trains = [hook for hook in TRAINING if case.method.overrides(hook)]
    expect(kind == "train" or not trains, f"of kind 'sample', but overrides {', '.join(trains)}")


@named
def check_order(case: Case) -> None:
    """The examples of a step are in range and depend on the seeds and the clock alone."""
    for start, stop in ((0, 5), (5, 16)):
        first, again = (case.method.order(7, start, stop, Seeds(1)) for _ in range(2))
        expect(all(0 <= index < 7 for index in first), f"out of range: {first}")
        expect(first == again, "equal seeds give unequal orders")


@named
def check_stages_partition_the_timesteps(case: Case) -> None:
    """Stages are non-empty, in order, without gap or overlap, from 0 to T, with distinct names."""
    stages = case.stages
    starts, stops = [stage.start for stage in stages], [stage.stop for stage in stages]
    expect(starts == [0, *stops[:-1]] and stops[-1:] == [case.num_timesteps], f"no partition: {stages}")
    expect(all(stage.start < stage.stop for stage in stages), f"an empty stage: {stages}")
    expect(len({stage.name for stage in stages}) == len(stages), f"names are not distinct: {stages}")


@named
def check_timesteps(case: Case) -> None:
    """Timesteps are int64 [n], lie in their stage, and depend on the generator alone."""
    for stage in case.stages:
        first, again = (case.method.timesteps(64, stage, generator()) for _ in range(2))
        expect(first.shape == (64,) and first.dtype == torch.int64, f"got {first.dtype} {list(first.shape)}")
        inside = (first >= stage.start) & (first < stage.stop)
        expect(inside.all(), f"{first[~inside].tolist()} outside [{stage.start}, {stage.stop})")
        expect(torch.equal(first, again), f"equal generators give unequal timesteps in stage '{stage.name}'")


@named
def check_loss(case: Case) -> None:
    """The loss is finite, one number a row, and reaches the weights."""
    for stage in case.stages:
        module = case.build(stage)
        loss = case.loss(module, stage)
        expect(loss.shape == (ROWS,), f"want a loss for each of {ROWS} rows, got shape {list(loss.shape)}")
        expect(loss.isfinite().all(), f"not finite: {loss.tolist()}")
        torch.autograd.backward(loss.mean())
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        expect(any(gradient.any() for gradient in gradients), f"no gradient in stage '{stage.name}'")
        expect(all(gradient.isfinite().all() for gradient in gradients), "a gradient is not finite")


@named
def check_hooks_leave_inputs_unchanged(case: Case) -> None:
    """No hook writes into what it is handed, the backbone included."""
    for hook, arguments in hook_arguments(case).items():
        watched = (*arguments, case.ctx)
        before = copies(watched)
        getattr(case.method, hook)(*arguments)
        unchanged = all(same(*pair) for pair in zip(before, copies(watched), strict=True))
        expect(unchanged, f"the hook '{hook}' changes its arguments in place")


@named
def check_rebuild_and_strict_load(case: Case) -> None:
    """Trained weights, loaded strictly into newly built networks, give the same denoiser to the bit."""
    trained = case.networks()
    rebuilt = [
        case.build(stage, seed=1) for stage in case.stages
    ]  # other initial weights: all are overwritten
    for old, new in zip(trained, rebuilt, strict=True):
        new.load_state_dict(old.state_dict(), strict=True)
    results = [case.predict(case.denoiser(modules)) for modules in (trained, rebuilt)]
    expect(torch.equal(*results), "predictions differ: some weights are not in the state dict")


@named
def check_mixed_timesteps(case: Case) -> None:
    """Rows of unequal timesteps in one batch are predicted as each row alone is."""
    denoiser, x_t, t, cond = (
        case.denoiser(case.networks()),
        case.noise(7),
        case.border_timesteps(),
        case.cond(8),
    )
    with torch.no_grad():
        rows = [denoiser(x_t[i : i + 1], t[i : i + 1], cond[i : i + 1]) for i in range(ROWS)]
    batch, alone = case.predict(denoiser), torch.cat(rows)
    expect(batch.shape == x_t.shape, f"want shape {list(x_t.shape)}, got {list(batch.shape)}")
    worst = (batch - alone).abs().max().item()
    expect(torch.allclose(batch, alone, rtol=1e-3, atol=1e-4), f"t = {t.tolist()}: off by {worst:.3g}")


@named
def check_composition_order(case: Case) -> None:
    """In ``a+b`` chained hooks run in order, owned hooks keep their owner, and two owners are refused."""
    check_chained(case)
    check_owners(case)


def two_steps(case: Case, stage: Stage) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network of ``stage`` after two steps of the method, and its parameters before them."""
    module = case.build(stage).train()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimiser = case.method.optimiser(module, case.ctx)
    for number in range(2):
        losses = case.method.update(case.step(module, stage, number, optimiser), case.ctx)
        expect(losses.shape == (ROWS,), f"update returns losses of shape {list(losses.shape)}")
    return module, before


@named
def check_two_training_steps(case: Case) -> None:
    """Two steps change the network, its frozen weights and the backbone apart; what only samples, as ``none`` does."""
    backbone = copies(case.ctx)
    for stage in case.stages:
        module, before = two_steps(case, stage)
        moved = {
            name for name, parameter in module.named_parameters() if not torch.equal(parameter, before[name])
        }
        frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        expect(moved, f"no weight of stage '{stage.name}' changed")
        expect(not moved & frozen, f"frozen weights changed: {sorted(moved & frozen)[:3]}")
        if case.method.kind == "sample":
            plain, _ = two_steps(Case(Method(), case.backbone), stage)
            alike = zip(copies(module), copies(plain), strict=True)
            expect(
                all(same(*pair) for pair in alike), "of kind 'sample', but trains other weights than 'none'"
            )
    expect(
        all(same(*pair) for pair in zip(backbone, copies(case.ctx), strict=True)), "the backbone was trained"
    )


@named
def check_end_to_end(case: Case) -> None:
    """One small run, trained, sampled and measured, gives a valid result."""
    with tempfile.TemporaryDirectory() as folder:
        expect_valid(*run_once(case, Path(folder)))


def method_checks(skip: Collection[str] = ()) -> list[Check]:
    """The checks, in order; each takes a ``Case`` and raises CheckFailed.

    Args:
        skip: names of checks that are left out, such as ``check_end_to_end`` of a method that needs a dataset or an
            embedder of its own.

    Raises:
        ConfigError: there is no such check.
    """
    for name in skip:
        one_of("skip", name, [check.__name__ for check in CHECKS], "check")
    return [check for check in CHECKS if check.__name__ not in skip]


def check_method(
    method: Method, backbone_folder: str | Path | None = None, skip: Collection[str] = ()
) -> None:
    """Run the checks on ``method``.

    Args:
        method: an instance, with whatever options.
        backbone_folder: a Stable Diffusion folder; a tiny random one where it is left out.
        skip: see ``method_checks``.

    Raises:
        CheckFailed: the first check that fails, by name.
        ConfigError: no such check to skip.
    """
    checks = method_checks(skip)
    with tempfile.TemporaryDirectory() as temporary:
        case = Case(method, load_backbone(backbone_folder or slim_backbone(temporary)))
        for check in checks:
            check(case)
