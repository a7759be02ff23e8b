"""A run of ours as the model to sample: its training is taken over whole, and what contradicts it is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from replication_bench.config import NamedOptions, Recipe, RunConfig, flatten, put
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.recipe_files import read_recipe
from replication_bench.resolve import Request, build_method, dataset_table, resolve_recipe, run_configs
from replication_bench.store import locked
from replication_bench.trained.facts import trained_part
from replication_bench.trained.onto import put_onto
from replication_bench.trained.record import Training, finished_training
from replication_bench.trained.sharing import take_weights

if TYPE_CHECKING:
    from replication_bench.pipeline import Run
    from replication_bench.workbench import Workbench


@dataclass(frozen=True)
class Parent:
    """A run that is trained to its end.

    Attributes:
        folder: of the run.
        config: of the run.
        training: that its weights come from.
    """

    folder: Path
    config: RunConfig
    training: Training

    @cached_property
    def method(self) -> NamedOptions:
        """What was trained of the run's method; how the run sampled is not in its weights."""
        return trained_part(self.config.method)

    def resolve(self, request: Request) -> tuple[list[RunConfig], str]:
        """See ``Origin``; what is not asked for is as in the run, and the reference is what was trained, alone."""
        recipe = resolve_recipe(replace(request, dataset=None), self.table(request))
        names = [put_onto(self.method, name, recipe.methods) for name in request.methods]
        for key, mine, asked in self.contradictions(recipe, request.seeds):
            raise ConfigError(
                f"{key} contradicts the training of --from",
                where=self.folder,
                got=asked,
                want=mine,
                hint="Leave it out, or leave --from out to train.",
            )
        return run_configs(recipe, (self.method.name, *names), (self.config.seed,)), self.method.name

    def table(self, request: Request) -> dict[str, Any]:
        """The run's configuration as a recipe, and above it the recipe and the dataset that were asked for."""
        table = self.config.model_dump(mode="json", exclude={"method", "tuned"})
        table["methods"] = {part: dict(options) for part, options in self.method.options.items()}
        recipe = {} if request.recipe is None else read_recipe(request.recipe)
        named = recipe.pop("dataset", None)
        for key, value in flatten(recipe).items():
            put(table, key, value)
        if request.dataset is not None:
            named = dataset_table(request.dataset, table)
        if named is not None:
            table["dataset"] = self.located(named)
        return table

    def located(self, dataset: dict[str, Any]) -> dict[str, Any]:
        """A dataset section; of the run's own dataset, which may lie elsewhere now, the other options stay."""
        if dataset.get("name") != self.config.dataset.name:
            return dataset
        return {**dataset, "options": {**self.config.dataset.options, **dataset.get("options", {})}}

    def contradictions(self, recipe: Recipe, seeds: tuple[int, ...]) -> list[tuple[str, Any, Any]]:
        """Key, the run's value and what was asked for, wherever they differ in what was trained."""
        options = {part: recipe.methods.get(part, {}) for part in self.method.options}
        asked = build_method(self.method.name, options)[1]
        pairs = {
            "train": (self.config.train.resolved(), recipe.train.resolved()),
            "methods": (self.method.options, asked.options),
        }
        found = [
            (f"{section}.{key}", value, flatten(theirs).get(key))
            for section, (mine, theirs) in pairs.items()
            for key, value in flatten(mine).items()
            if value != flatten(theirs).get(key)
        ]
        return found + [
            ("seed", self.config.seed, seed) for seed in seeds or (recipe.seed,) if seed != self.config.seed
        ]

    def check(self, bench: Workbench) -> None:
        """See ``Origin``."""
        facts = {
            "dataset": (self.training.dataset, bench.splits.fingerprint),
            "backbone": (self.training.backbone, bench.backbone.sha256),
        }
        for what, (trained, found) in facts.items():
            if trained != found:
                raise ConfigError(
                    f"the {what} is not the one that the model of --from was trained on",
                    where=self.folder,
                    got=f"fingerprint {found[:12]}",
                    want=trained[:12],
                    hint=f"Leave --{what} out, or name the same one where it lies now.",
                )

    def lend(self, run: Run) -> None:
        """See ``Origin``."""
        jobs = run.jobs()
        with locked(run.folder):
            if finished_training(run.folder, jobs) is not None:
                return
            for job in jobs:
                check_weights(self.folder / "train" / job.stage.name / job.final.name)
            take_weights(self.folder, self.training, run.folder, jobs)


def check_weights(path: Path) -> None:
    """Refuse weights that are not there in full.

    Raises:
        WeightsError: no such file, or a damaged one.
    """
    hint = "Run the command of that run again, after removing its folder, to train it anew."
    try:
        with safe_open(path, framework="pt"):
            return
    except FileNotFoundError as error:
        raise WeightsError(
            "the weights of --from are missing", where=path, got="nothing there", hint=hint
        ) from error
    except (OSError, SafetensorError) as error:
        raise WeightsError("the weights of --from are damaged", where=path, got=error, hint=hint) from error
