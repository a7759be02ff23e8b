"""From what the user typed to the configurations of the runs: recipe, settings, flags, names to objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from replication_bench import plugins
from replication_bench.compose import compose
from replication_bench.config import (
    NamedOptions,
    Options,
    Recipe,
    RunConfig,
    apply_setting,
    put,
    validate,
)
from replication_bench.errors import PluginError, did_you_mean
from replication_bench.extras import check_needs
from replication_bench.method import Method
from replication_bench.plugins import construct
from replication_bench.recipe_files import read_recipe, recipe_names

ALIASES = {"caption-randomization": "rc", "data-augmentation": "augment"}


@dataclass(frozen=True)
class Request:
    """What ``replbench run`` was asked for; None means: as the recipe says.

    Attributes:
        sweeps: ``key=a,b``; see ``replication_bench.sweep``.
        origin: folder of the fine-tuned model that ``--from`` names; see ``replication_bench.trained.origin``.
    """

    methods: tuple[str, ...] = ()
    dataset: str | None = None
    recipe: str | None = None
    backbone: str | None = None
    seeds: tuple[int, ...] = ()
    budget: str | None = None
    budget_rule: str | None = None
    samples: int | None = None
    duplication: str | None = None
    settings: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    origin: str | None = None


def method_parts(name: str) -> list[str]:
    """``loyal+gc`` -> [loyal, gc], the README's words replaced by the methods' names.

    Raises:
        PluginError: a part that is missing, unknown, or there twice.
    """
    if "" in name.split("+"):
        where = "before" if name.startswith("+") else "after"
        what = f"a part is missing {where} '+'" if name else "a method's name is empty"
        raise PluginError(what, got=f"'{name}'", want="such as loyal+gc" if name else "such as loyal")
    parts = [ALIASES.get(part, part) for part in name.split("+")]
    known = plugins.available("methods")
    aliases = {alias for alias, target in ALIASES.items() if target in known}
    for original, part in zip(name.split("+"), parts, strict=True):
        if part not in known:
            raise PluginError(f"unknown method '{original}'", hint=did_you_mean(original, {*known, *aliases}))
    if repeated := [part for part in parts if parts.count(part) > 1]:
        raise PluginError(
            f"the method '{repeated[0]}' stands twice in one composition", got=name, want="each part once"
        )
    return parts


def build_method(name: str, options: dict[str, Options]) -> tuple[Method, NamedOptions]:
    """The method ``name`` (parts joined by ``+``) and its resolved parameters."""
    parts = [(part, construct("methods", part, options.get(part, {}))) for part in method_parts(name)]
    for part, method in parts:
        check_needs(part, method)
    resolved = {part: asdict(method) for part, method in parts}
    return compose(parts), NamedOptions(name="+".join(part for part, _ in parts), options=resolved)


def rebuild_method(resolved: NamedOptions) -> Method:
    """The method that a configuration records."""
    return build_method(resolved.name, resolved.options)[0]


def base_table(request: Request) -> dict[str, Any]:
    """The recipe that was named, else the one called like the dataset, else the defaults."""
    if request.recipe is not None:
        return read_recipe(request.recipe)
    name = request.dataset or "openmoji"
    return read_recipe(name) if name in recipe_names() else {}


def dataset_table(text: str, table: dict[str, Any]) -> dict[str, Any]:
    """The dataset section for ``--dataset``: a name, or a folder of captioned images.

    Raises:
        PluginError: an unknown name, and a folder of that name is at hand.
    """
    if "/" in text or text.startswith("."):
        return {"name": "folder", "options": {"path": str(Path(text))}}
    if text not in plugins.available("datasets") and Path(text).is_dir():
        hint = f"For the folder of that name: --dataset ./{text}"
        raise PluginError(f"unknown dataset '{text}'", hint=hint)
    before = table.get("dataset", {})
    return before if before.get("name") == text else {"name": text}


def open_dataset(text: str) -> Any:
    """The dataset that was typed, with its own defaults: a name, or a folder of captioned images."""
    table = dataset_table(text, {})
    return construct("datasets", table["name"], table.get("options", {}))


def resolve_recipe(request: Request, table: dict[str, Any]) -> Recipe:
    """``table`` (a recipe's, or the configuration of a run), then ``--set``, then flags.

    Raises:
        ConfigError: an unknown key or a value out of range.
    """
    if request.dataset is not None:
        table["dataset"] = dataset_table(request.dataset, table)
    table.setdefault("dataset", {"name": "openmoji"})
    for setting in request.settings:
        apply_setting(table, setting)
    flags = {
        "backbone": request.backbone,
        "train.budget": request.budget,
        "train.budget_rule": request.budget_rule,
        "sample.samples": request.samples,
        "duplication.plan": request.duplication,
    }
    for key, value in flags.items():
        if value is not None:
            put(table, key, value)
    return validate(table, request.recipe or "the configuration")


def dataset_options(section: NamedOptions) -> Options:
    """Every option of a dataset, defaults included, so that a result names them all."""
    dataset = construct("datasets", section.name, section.options)
    return (
        asdict(dataset) if is_dataclass(dataset) and not isinstance(dataset, type) else dict(section.options)
    )


def resolve_runs(request: Request) -> tuple[list[RunConfig], str]:
    """One configuration a method and seed, the reference first, and the reference's name.

    Raises:
        ConfigError, PluginError: see ``resolve_recipe`` and ``build_method``.
    """
    recipe = resolve_recipe(request, base_table(request))
    recipe.train.images  # noqa: B018 - an impossible budget is refused before anything is loaded
    names = (recipe.reference, *request.methods)
    return run_configs(recipe, names, request.seeds), recipe.reference


def run_configs(recipe: Recipe, names: Sequence[str], seeds: Sequence[int], **more: Any) -> list[RunConfig]:
    """One configuration a method and seed, each once; ``more`` are further values of them all.

    Raises:
        ConfigError, PluginError: see ``build_method``.
    """
    assert recipe.dataset is not None
    for name, options in recipe.methods.items():
        construct("methods", name, options)
    dataset = NamedOptions(name=recipe.dataset.name, options=dataset_options(recipe.dataset))
    sections: dict[str, Any] = {
        "backbone": recipe.backbone,
        "duplication": recipe.duplication,
        "train": recipe.train,
        "sample": recipe.sample,
        "measure": recipe.measure,
        **more,
    }
    return [
        RunConfig(dataset=dataset, method=build_method(name, recipe.methods)[1], seed=seed, **sections)
        for seed in seeds or (recipe.seed,)
        for name in dict.fromkeys(names)
    ]
