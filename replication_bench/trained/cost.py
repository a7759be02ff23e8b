"""What a run cost, wherever its training was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from replication_bench.results import Cost
from replication_bench.trained.record import Training

if TYPE_CHECKING:
    from replication_bench.pipeline import Run
    from replication_bench.training import StageJob

ELSEWHERE = "fine-tuned elsewhere: nothing was trained here, and the images it saw are not known"
ON_TRUST = (
    "The model was fine-tuned elsewhere: that it learnt from these training images, and not from the held-out ones, is "
    "taken on trust."
)


def cost_of(
    run: Run, jobs: Sequence[StageJob], training: Training | None, network: dict[str, int], calls: float
) -> Cost:
    """The cost of a run.

    Args:
        run: the run, with the seconds of its own steps.
        jobs: its stages.
        training: that its weights come from; None for a backbone that was fine-tuned elsewhere.
        network: counts of ``parameters`` and of ``trained`` ones.
        calls: of the network for each image.
    """
    used: dict[str, Any] = {"parameters": network["parameters"], "network_calls_per_image": calls}
    if training is None:
        return Cost(
            budget=None,
            budget_rule="none",
            images=None,
            images_per_stage={},
            trained_parameters=None,
            seconds=run.seconds(),
            reason=ELSEWHERE,
            **used,
        )
    return Cost(
        budget=run.config.train.images,
        budget_rule=run.config.train.budget_rule,
        images=sum(job.images for job in jobs),
        images_per_stage={job.stage.name: job.images for job in jobs},
        trained_parameters=network["trained"],
        seconds=seconds_of(run, training),
        training_processes=training.processes,
        trained_in=None if training.run == run.id else training.run,
        **used,
    )


def seconds_of(run: Run, training: Training) -> dict[str, float]:
    """Seconds by step; those of training are what it took, also where another run spent them."""
    own = {name: seconds for name, seconds in run.seconds().items() if name != "train"}
    return own if training.seconds is None else {"train": training.seconds, **own}
