"""A diffusers pipeline that somebody fine-tuned elsewhere: it is the backbone, and nothing is trained."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from replication_bench import plugins
from replication_bench.config import RunConfig, TrainConfig
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.recipe_files import read_recipe
from replication_bench.resolve import Request, base_table, resolve_recipe, run_configs
from replication_bench.trained.onto import refuse_training

if TYPE_CHECKING:
    from replication_bench.pipeline import Run
    from replication_bench.workbench import Workbench

INDEX = "model_index.json"
UNET = "UNet2DConditionModel"
PIXELS = "train.pixels"


@dataclass(frozen=True)
class ForeignPipeline:
    """A pipeline's folder."""

    folder: Path

    def resolve(self, request: Request) -> tuple[list[RunConfig], str]:
        """See ``Origin``; the reference is the model without the method."""
        self.check_request(request)
        check_unet(self.folder)
        asked = replace(request, backbone=str(self.folder))
        recipe = resolve_recipe(asked, base_table(request))
        names = (recipe.reference, *request.methods)
        for name in names:
            refuse_training(name, recipe.methods)
        train = TrainConfig(pixels=recipe.train.pixels)
        return run_configs(recipe, names, request.seeds, train=train, tuned=True), recipe.reference

    def check_request(self, request: Request) -> None:
        """Raise ConfigError for what speaks of training or of another backbone, and where no data are named."""
        told = {
            "--backbone": request.backbone,
            "--budget": request.budget,
            "--budget-rule": request.budget_rule,
        }
        told |= {f"--set {s}": s for s in request.settings if s.startswith(("train.", "backbone"))}
        told = {flag: value for flag, value in told.items() if value and not value.startswith(f"{PIXELS}=")}
        if told:
            raise ConfigError(
                f"{next(iter(told))} contradicts --from",
                where=self.folder,
                got="a pipeline, which is the backbone and is not trained",
                hint="Leave one of them out.",
            )
        if not names_dataset(request):
            raise ConfigError(
                "nobody knows what a pipeline was trained on",
                where=self.folder,
                want="--dataset",
                hint="Name the images that it was fine-tuned on: they are what copies are searched in.",
            )

    def check(self, bench: Workbench) -> None:
        """Nothing is known that could differ."""

    def lend(self, run: Run) -> None:
        """The backbone holds the weights."""


def names_dataset(request: Request) -> bool:
    """Whether a flag, a setting or the recipe says which images are meant."""
    recipe = {} if request.recipe is None else read_recipe(request.recipe)
    settings = any(setting.startswith("dataset.") for setting in request.settings)
    return request.dataset is not None or settings or "dataset" in recipe


def check_unet(folder: Path) -> None:
    """Refuse a pipeline whose U-Net is neither a plain one nor of a class that an installed package offers.

    Raises:
        WeightsError: the index cannot be read, or names another network.
    """
    path = folder / INDEX
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("unet")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError("the pipeline's index cannot be read", where=path, got=error) from error
    classes = [UNET, *plugins.available("components")]
    if not isinstance(found, list) or found[-1:] not in [[name] for name in classes]:
        raise WeightsError(
            "the pipeline has no plain U-Net",
            where=path,
            got=f"unet: {json.dumps(found)}",
            want=" or ".join(classes),
            hint="If a run of replbench trained it, name that run's folder.",
        )
