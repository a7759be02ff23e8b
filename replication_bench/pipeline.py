"""The order of the stages, and nothing else: data, training, sampling, embedding, search, measurement, result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator

from replication_bench import machine, resolve
from replication_bench.acceleration import settled
from replication_bench.config import RunConfig, SampleConfig
from replication_bench.data.example import Examples
from replication_bench.encoding import Encoder
from replication_bench.matching import embed_all, measure_run
from replication_bench.method import Context, Method
from replication_bench.networks import parked, ready_to_sample
from replication_bench.processes.agreement import check_seen
from replication_bench.provenance import dataset_record, embedder_record, method_record
from replication_bench.results import Cost, Measurement, Result, read_result
from replication_bench.sampling import Sample, Sampler, plan
from replication_bench.seeds import Seeds
from replication_bench.store import locked, slug, sweep, write_json
from replication_bench.trained.cost import ON_TRUST, cost_of
from replication_bench.trained.facts import trained_part, training_facts
from replication_bench.trained.record import Training, write_training
from replication_bench.trained.sharing import lenders, share
from replication_bench.training import StageJob, Trainer, share_budget
from replication_bench.workbench import Workbench


class Watcher(Protocol):
    """Told what a run is doing; the command draws progress bars from it."""

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """A step of ``total`` units begins; the returned function is told how many are done."""
        ...

    def loss(self, value: float) -> None:
        """The mean loss of the last training step."""
        ...


@dataclass
class Run:
    """One configuration on a workbench, with its folder."""

    config: RunConfig
    bench: Workbench
    out: Path
    watch: Watcher

    def __post_init__(self) -> None:
        self.fingerprint = self.config.fingerprint(**self.bench.facts)
        name = (
            f"{self.config.dataset.name}-{self.config.method.name}-{self.config.seed}-{self.fingerprint[:8]}"
        )
        self.id = slug(name)
        self.folder = self.out / self.id
        self.seeds = Seeds(self.config.seed)
        self.method: Method = resolve.rebuild_method(self.config.method)
        self.processes = self.bench.processes

    @property
    def result_path(self) -> Path:
        """The finished result; present = done."""
        return self.folder / "result.json"

    def finished(self) -> Result | None:
        """The result that is already there."""
        return read_result(self.result_path) if self.result_path.exists() else None

    def execute(self, passed: dict[str, Any]) -> Result:
        """Do whatever is missing and return the result; to resume, call it again.

        Where there are several processes all of them call this: they train, sample and embed together, then wait for
        the main one, which searches and measures.
        """
        with ExitStack() as held:
            self.processes.first(lambda: held.enter_context(locked(self.folder)))
            self.processes.first(lambda: sweep(self.folder))
            found = self.processes.first(self.finished)
            if found is not None:
                return found
            self.write_config()
            jobs = self.jobs()
            trainer, training = self.train(jobs)
            with self.timed("sample") as tell:
                samples, network, calls = self.sample(trainer, jobs, tell)
            with self.timed("measure"):
                vectors = embed_all(self, samples)
                measurements = self.processes.first(lambda: measure_run(self, samples, vectors))
            return self.processes.first(
                lambda: self.write_result(passed, cost_of(self, jobs, training, network, calls), measurements)
            )

    def write_config(self) -> None:
        """``config.json``, in a folder that all processes see.

        Raises:
            StoreError: one does not.
        """
        path = self.folder / "config.json"
        self.processes.first(lambda: write_json(path, self.config.recorded()))
        check_seen(self.processes, self.folder)

    @contextmanager
    def timed(self, name: str) -> Iterator[Callable[[], None]]:
        """Add the seconds of a step to what earlier attempts spent on it.

        What is yielded adds those until now: called where work is kept, so that a killed run still tells its cost.
        """
        since = time.monotonic()

        def tell() -> None:
            nonlocal since
            before, since = since, time.monotonic()
            if self.processes.is_main:
                self.add_seconds(name, since - before)

        try:
            yield tell
        finally:
            tell()

    def add_seconds(self, name: str, spent: float) -> None:
        """Write seconds that a step took to those before."""
        seconds = self.seconds()
        seconds[name] = round(seconds.get(name, 0.0) + spent, 3)
        write_json(self.folder / "seconds.json", seconds)

    def seconds(self) -> dict[str, float]:
        """Seconds by step so far."""
        path = self.folder / "seconds.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def jobs(self) -> list[StageJob]:
        """The stages to train with their shares of the budget."""
        stages = self.method.stages(self.bench.backbone.num_timesteps)
        shares = [0] * len(stages) if self.config.tuned else share_budget(stages, self.config.train)
        return [
            StageJob(stage, images, self.folder / "train" / stage.name)
            for stage, images in zip(stages, shares, strict=True)
        ]

    @cached_property
    def context(self) -> Context:
        """What the method's hooks may look at."""
        return Context(
            self.bench.backbone,
            settled(self.config.train, self.bench.device),
            self.config.sample,
            self.seeds,
            public=self.bench.splits.public,
            reserved=frozenset(e.sha256 for e in (*self.bench.splits.train, *self.bench.splits.heldout)),
            method=self.method,
            embedder=self.bench.embedder,
            vectors=lambda examples: self.bench.vectors(examples, lambda done: None),
        )

    @property
    def precision(self) -> str:
        """Accelerate's name of the mixed precision."""
        return machine.choose_precision(self.config.train.precision, self.bench.device)

    def prepare(self) -> Examples:
        """The training set after the hook ``dataset``, which runs once."""
        if self.context.training is None:
            self.context.training = self.method.dataset(self.bench.training, self.context)
        return self.context.training

    def trainer(self) -> Trainer:
        """Trains what changes training of the method alone, so that runs which sample otherwise can share it."""
        accelerator = Accelerator(mixed_precision=self.precision, cpu=self.bench.device == "cpu")
        data, method = self.prepare(), resolve.rebuild_method(trained_part(self.config.method))
        train = self.config.train
        encoder = Encoder(
            method, data, self.bench.backbone, train.flip, train.cache, self.watch.step, self.processes
        )
        context = replace(self.context, method=method, sample=SampleConfig())
        return Trainer(method, data, encoder, context, self.seeds, accelerator, self.processes)

    def train(self, jobs: list[StageJob]) -> tuple[Trainer, Training | None]:
        """Train every stage that has no final weights, here or in a run of equal training.

        Returns:
            The trainer, and the training; None for a backbone that was fine-tuned elsewhere.
        """
        trainer, name = self.trainer(), self.config.method.name
        if self.config.tuned:
            return trainer, None
        facts = training_facts(self, trainer.data)
        found = self.processes.first(lambda: share(self.out, self.folder, jobs, facts))
        with self.timed("train") as tell:
            if not self.processes.first(lambda: all(job.final.exists() for job in jobs)):
                trainer.encoder.warm()
            for job in jobs:
                advance = self.watch.step(f"{name}: train {job.stage.name}", job.images)

                def progress(done: int, loss: float, advance: Callable[[int], None] = advance) -> None:
                    advance(done)
                    self.watch.loss(loss)

                trainer.train_stage(job, progress, tell)
        return trainer, found or self.processes.first(lambda: self.record_training(facts))

    def trains(self) -> bool:
        """Whether weights are missing that no run of equal training holds."""
        jobs = self.jobs()
        if self.config.tuned or all(job.final.exists() for job in jobs):
            return False
        return next(lenders(self.out, jobs, training_facts(self, self.prepare())), None) is None

    def record_training(self, facts: dict[str, Any]) -> Training:
        """Leave beside the weights what they depend on, so that other runs find them."""
        training = Training(
            run=self.id, seconds=self.seconds()["train"], processes=self.processes.count, facts=facts
        )
        write_training(self.folder, training)
        return training

    def sample(
        self, trainer: Trainer, jobs: list[StageJob], tell: Callable[[], None]
    ) -> tuple[tuple[Sample, ...], dict[str, int], float]:
        """Generate every missing image; returns the samples, parameter counts and network calls an image.

        ``tell`` is called after each batch.
        """
        load = (lambda job: trainer.build(job.stage)) if self.config.tuned else trainer.load
        networks = [parked(load(job), self.config.sample) for job in jobs]
        weights = [p for network in networks for p in network.parameters()]
        counts = {
            "parameters": sum(p.numel() for p in weights),
            "trained": sum(p.numel() for p in weights if p.requires_grad),
        }
        self.context.networks = ready_to_sample(networks, self.config.sample, trainer.accelerator.device)
        with self.seeds.ambient("denoiser"):
            denoiser = self.method.denoiser(self.context.networks)
        sampler = Sampler(self.method, denoiser, self.context, self.config.sample, self.seeds)
        samples = plan(self.bench.splits.train, self.config.sample.samples)
        advance = self.watch.step(f"{self.config.method.name}: sample", len(samples))

        def progress(done: int) -> None:
            advance(done)
            if done:
                tell()

        return samples, counts, sampler.run(samples, self.folder / "samples", progress, self.processes)

    def write_result(
        self, passed: dict[str, Any], cost: Cost, measurements: tuple[Measurement, ...]
    ) -> Result:
        """``result.json``, the last file of a run."""
        facts = self.method.facts((), self.prepare(), self.context)
        result = self.result(passed, cost, (*measurements, *facts))
        write_json(self.result_path, result.model_dump(mode="json"))
        return result

    def result(self, passed: dict[str, Any], cost: Cost, measurements: Any) -> Result:
        """Everything above as one record."""
        config, bench = self.config, self.bench
        return Result(
            id=self.id,
            fingerprint=self.fingerprint,
            config=config.recorded(),
            passed=passed,
            method=method_record(config.method),
            dataset=dataset_record(config.dataset, bench.splits),
            backbone={"name": config.backbone, "sha256": bench.backbone.sha256},
            embedder=embedder_record(bench.chosen, bench.embedder.protocol),
            protocol=bench.embedder.protocol.hash,
            seed=config.seed,
            cost=cost,
            measurements=measurements,
            notes=(ON_TRUST,) if config.tuned else (),
            packages=machine.package_versions(),
            commit=machine.commit(),
            device=f"{machine.device_name(bench.device)}, mixed precision {self.precision}",
            processes=self.processes.count,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
