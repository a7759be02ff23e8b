"""A finished run, opened without its data: the denoiser that its images came from, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replication_bench import resolve
from replication_bench.backbone import Backbone
from replication_bench.config import RunConfig
from replication_bench.denoiser import Denoiser
from replication_bench.errors import DataError, WeightsError
from replication_bench.export.component import fused
from replication_bench.method import Method
from replication_bench.results import Result, read_result
from replication_bench.seeds import Seeds
from replication_bench.trained.weights import load_network
from replication_bench.training import StageJob, build_network


@dataclass(frozen=True)
class Trained:
    """What a run left.

    Attributes:
        result: its result.
        config: its configuration.
        method: the method with its parameters.
        backbone: what it was trained from.
        denoiser: the trained networks as they were sampled.
    """

    result: Result
    config: RunConfig
    method: Method
    backbone: Backbone
    denoiser: Denoiser


def finished_result(run: Path) -> Result:
    """The result of the run in the folder ``run``.

    Raises:
        DataError: there is none, or it is of something else than a run.
    """
    path = run / "result.json"
    if not path.is_file():
        raise DataError(
            "no finished run",
            where=run,
            want="a folder with result.json, as replbench run makes",
            hint="A run that was interrupted ends when its command is typed again.",
        )
    result = read_result(path)
    result.ran  # noqa: B018 - refuses results of audits and scores
    return result


def same_backbone(result: Result, config: RunConfig) -> Backbone:
    """The backbone of a run.

    Raises:
        WeightsError: what has its name today are other weights.
    """
    backbone = Backbone.load(config.backbone, pixels=config.train.pixels)
    then = result.ran.backbone["sha256"]
    if backbone.sha256 != then:
        raise WeightsError(
            "the backbone is not the one that the run was trained from",
            where=config.backbone,
            got=backbone.sha256[:12],
            want=then[:12],
        )
    return backbone


def open_trained(run: Path) -> Trained:
    """The run in the folder ``run``, on the CPU.

    Raises:
        DataError: no finished run.
        WeightsError: backbone or weights are missing or not those of the run.
    """
    result = finished_result(run)
    config = RunConfig.model_validate(result.config)
    method, seeds = resolve.rebuild_method(config.method), Seeds(config.seed)
    backbone = same_backbone(result, config)
    networks = []
    for stage in method.stages(backbone.num_timesteps):
        network = build_network(method, backbone, stage, seeds)
        if not config.tuned:  # a model that was fine-tuned elsewhere is the backbone itself
            network = load_network(network, StageJob(stage, 0, run / "train" / stage.name).final)
        networks.append(fused(network.requires_grad_(False).eval()))
    with seeds.ambient("denoiser"):
        denoiser = method.denoiser(networks)
    return Trained(result, config, method, backbone, denoiser)
