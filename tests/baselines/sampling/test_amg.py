from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sampling_case import EXAMPLES, batch_context, eps_backbone, latents, rows_an_image, sampler
from torch.nn import functional

from baselines.sampling.amg import Amg
from baselines.sampling.similarity import NormalisedL2, features, lifted
from replication_bench import cli
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.embedders.protocol import Vectors
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.prediction import clean_of, prediction_of
from replication_bench.search import nearest

PAGE = Path(__file__).parents[3] / "docs" / "methods" / "sampling.md"
ALWAYS = {"low": -100.0, "high": -100.0}
NEVER = {"low": 5.0, "high": 5.0}


@pytest.fixture
def small_demo(slim: Path) -> list[str]:
    """Arguments that make a run of the demo one of seconds."""
    settings = (
        "train.budgets={tiny = 4}",
        "train.batch_size=4",
        "train.pixels=32",
        "sample.steps=2",
        "measure.embedder=pixels",
        "measure.bootstrap=0",
        "measure.pairs=1",
    )
    flags = ["--budget", "tiny", "--backbone", str(slim), "--samples", "2"]
    return [*flags, *(word for setting in settings for word in ("--set", setting))]


class Means:
    """A differentiable embedder: 4 x 4 means of each colour, shifted so that similarities are positive."""

    name = "means"
    differentiable = True

    def encode_tensor(self, images: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(images, 4).flatten(1) + 1.5


def with_embedder(backbone: Backbone) -> dict[str, Any]:
    embedder = Means()

    def vectors(examples: Examples) -> Vectors:
        images = torch.stack([backbone.to_tensor(example.load()) for example in examples])
        return functional.normalize(embedder.encode_tensor(images), dim=1).numpy()

    return {"embedder": embedder, "vectors": vectors}


def training_latents(backbone: Backbone) -> torch.Tensor:
    return backbone.encode_images(torch.stack([backbone.to_tensor(example.load()) for example in EXAMPLES]))


def nl2(x: np.ndarray, train: np.ndarray, k: int, alpha: float) -> float:
    distances = np.sort(np.sqrt(np.square(train - x).sum(1)))[:k]
    return -distances[0] / (alpha * distances.mean())


@pytest.mark.parametrize("neighbours", [1, 3, 50])
def test_the_similarity_is_minus_the_normalised_l2(backbone: Backbone, neighbours: int) -> None:
    measure = NormalisedL2(EXAMPLES, features("latents", backbone), backbone, neighbours, 0.5)
    x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    value, ids = measure(x)
    train = training_latents(backbone).flatten(1).numpy()
    rows = x.flatten(1).numpy()
    assert np.allclose(value, [nl2(row, train, min(neighbours, 6), 0.5) for row in rows], rtol=1e-4)
    assert ids == [int(np.square(train - row).sum(1).argmin()) for row in rows]


def test_lifted_rows_make_the_inner_product_search_euclidean() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = (rng.normal(size=(n, 5)).astype(np.float32) for n in (7, 20))
    found = nearest(lifted(queries, gallery=False), lifted(gallery, gallery=True), 4).ids
    distances = np.square(queries[:, None] - gallery[None]).sum(2)
    assert np.array_equal(found, distances.argsort(1)[:, :4])


@pytest.mark.parametrize("similarity", ["latents", "images", "embedder"])
def test_below_its_threshold_the_images_are_plain_to_the_bit(backbone: Backbone, similarity: str) -> None:
    plain = latents(sampler(backbone, Method()))
    run = sampler(backbone, Amg(similarity=similarity, **NEVER), **with_embedder(backbone))
    assert torch.equal(latents(run), plain)
    assert rows_an_image(run) == 2 * 4


@pytest.mark.parametrize("similarity", ["latents", "images", "embedder"])
def test_while_active_it_lowers_the_similarity_of_the_images(backbone: Backbone, similarity: str) -> None:
    plain = latents(sampler(backbone, Method()))
    method = Amg(similarity=similarity, **ALWAYS)
    run = sampler(backbone, method, **with_embedder(backbone))
    measure = method.measure(run.ctx)
    with torch.no_grad():
        before, after = measure(plain)[0], measure(latents(run))[0]
    assert (after < before).all()


def noise_of_clean(clean: torch.Tensor, x_t: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    return (x_t - abar.sqrt() * clean) / (1 - abar).sqrt()


@pytest.mark.parametrize("similarity", ["latents", "images", "embedder"])
@pytest.mark.parametrize("prediction", ["velocity", "noise"])
def test_the_third_term_lowers_the_similarity_of_the_predicted_image(
    backbone: Backbone, similarity: str, prediction: str
) -> None:
    backbone = backbone if prediction == "velocity" else eps_backbone(backbone)
    method = Amg(similarity=similarity, c1=0, c2=0, c3=1.0, **ALWAYS)
    run = sampler(backbone, method, **with_embedder(backbone))
    ctx, states = batch_context(run)
    x_t, t = ctx.samples.noise, torch.tensor([100] * 3)
    copied = training_latents(backbone)[:3] + 0.2 * torch.randn(
        3, 4, 8, 8, generator=torch.Generator().manual_seed(1)
    )
    eps = noise_of_clean(copied, x_t, backbone.scheduler.alphas_cumprod[100])

    def denoiser(x: torch.Tensor, steps: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        rows = prediction_of(eps, x_t, t, backbone.scheduler)
        return rows.repeat(len(x) // 3, 1, 1, 1)

    plain = Method().guide(denoiser, x_t, t, states, 3.0, ctx)
    got = method.guide(denoiser, x_t, t, states, 3.0, ctx)
    before, after = (
        method.measure(ctx)(clean_of(each, x_t, t, backbone.scheduler))[0] for each in (plain, got)
    )
    assert (after < before).all()


def test_a_sample_below_its_threshold_is_plain_beside_one_above(backbone: Backbone) -> None:
    plain = sampler(backbone, Method())
    ctx, states = batch_context(plain)
    x_t, t = ctx.samples.noise, torch.tensor([400] * 3)
    want = Method().guide(plain.counter, x_t, t, states, 3.0, ctx)
    values = Amg().nearness(want, x_t, t, ctx).value
    middle = float(values.sort().values[1:].mean())
    got = Amg(low=middle, high=middle).guide(plain.counter, x_t, t, states, 3.0, ctx)
    changed = [not torch.equal(a, b) for a, b in zip(got, want, strict=True)]
    assert changed == (values > middle).tolist()
    assert sum(changed) == 1


def test_the_three_terms_by_hand(backbone: Backbone) -> None:
    backbone = eps_backbone(backbone)
    method = Amg(similarity="embedder", c1=2.0, c2=1.0, c3=7.0, **ALWAYS)
    run = sampler(backbone, method, **with_embedder(backbone))
    ctx, states = batch_context(run)
    x_t, t, denoiser = ctx.samples.noise, torch.tensor([400] * 3), run.counter.denoiser
    with torch.no_grad():
        eps_0, eps_c = denoiser(x_t, t, states.uncond), denoiser(x_t, t, states.cond)
    eps = eps_0 + 5.0 * (eps_c - eps_0)
    abar = backbone.scheduler.alphas_cumprod[400]
    x = x_t.clone().requires_grad_()
    images = backbone.decode((x - (1 - abar).sqrt() * eps) / abar.sqrt()).clamp(-1, 1)
    rows = functional.normalize(Means().encode_tensor(images), dim=1)
    table = rows @ torch.from_numpy(with_embedder(backbone)["vectors"](EXAMPLES)).T
    sigma, found = table.max(1)
    (gradient,) = torch.autograd.grad(sigma.sum(), x)
    with torch.no_grad():
        captions = [EXAMPLES[int(index)].captions[0] for index in found]
        eps_n = denoiser(x_t, t, backbone.encode_text(captions))
    s1 = (2.0 * sigma).clamp(0, 4).view(-1, 1, 1, 1)
    s2 = (1.0 * sigma).view(-1, 1, 1, 1).minimum(4 - s1).clamp(min=0)
    want = eps - s1 * (eps_c - eps_0) - s2 * (eps_n - eps_0) + 7.0 * (1 - abar).sqrt() * gradient
    got = method.guide(denoiser, x_t, t, states, 5.0, ctx)
    assert (sigma > 0).all()
    assert torch.allclose(got, want.detach(), atol=1e-4)


def test_the_strengths_leave_a_scale_of_one(backbone: Backbone) -> None:
    """With huge c1 the first term takes all but 1 of the scale, and nothing is left for the second."""
    backbone = eps_backbone(backbone)
    method = Amg(similarity="embedder", c1=1e6, c2=1e6, c3=0.0, **ALWAYS)
    run = sampler(backbone, method, **with_embedder(backbone))
    ctx, states = batch_context(run)
    arguments = run.counter.denoiser, ctx.samples.noise, torch.tensor([400] * 3), states
    got = method.guide(*arguments, 5.0, ctx)
    assert torch.allclose(got, Method().guide(*arguments, 1.0, ctx), atol=1e-4)


def test_the_threshold_rises_towards_the_image() -> None:
    t = torch.tensor([0, 1000])
    assert torch.allclose(Amg().threshold_at(t, 1000), torch.tensor([-1.5, -1.9491310]))
    embedded = Amg(similarity="embedder").threshold_at(t, 1000)
    assert torch.allclose(embedded, torch.tensor([0.4, 0.3006738]))
    assert Amg(high=-1.0).threshold_at(t, 1000)[0] == -1.0


def test_an_embedder_without_gradients_is_refused_for_its_own_similarity_alone(backbone: Backbone) -> None:
    class Onnx:
        name = "sscd"

    ctx = sampler(backbone, Method(), embedder=Onnx()).ctx
    with pytest.raises(ConfigError, match="the embedder 'sscd' gives no gradients") as caught:
        Amg(similarity="embedder").check(ctx)
    assert "\n" not in str(caught.value)
    for similarity in ("latents", "images"):
        Amg(similarity=similarity).check(ctx)
    Amg(similarity="embedder").check(sampler(backbone, Method(), **with_embedder(backbone)).ctx)


def test_a_printed_number_names_the_variant_that_it_is_of() -> None:
    named = [re.search(r"variant similarity=(\w+)", claim.protocol) for claim in Amg.reported]
    assert [found[1] for found in named if found] == ["embedder", "embedder", "images"]
    assert Amg().similarity == "latents"
    section = PAGE.read_text(encoding="utf-8").split("## amg")[1].split("\n## ")[0]
    assert section.count("| `latents`, the default | third | nothing") == 1
    for claim in Amg.reported:
        before = re.findall(r"from ([0-9.]+)", claim.claim)[0]
        assert re.search(rf"from {before}( %)? to {claim.value:g}", section), claim


def test_the_published_variant_runs_by_its_recipe(small_demo: list[str], tmp_path: Path) -> None:
    """With an embedder that needs no weights in SSCD's place, as the recipe says."""
    cli.main(["run", "--recipe", "amg-embedder", "--method", "amg", *small_demo, "--out", str(tmp_path)])
    results = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*/result.json")]
    (options,) = [r["method"]["parameters"]["amg"] for r in results if r["method"]["name"] == "amg"]
    assert options == {**asdict(Amg()), "similarity": "embedder"}


def test_without_the_training_set_it_is_refused(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match="needs the training set"):
        Amg().check(sampler(backbone, Method(), training=None).ctx)


def test_a_sample_does_not_depend_on_its_batch(backbone: Backbone) -> None:
    run = sampler(backbone, Amg(**ALWAYS))
    together, alone = latents(run, [0, 1, 2]), latents(run, [1])
    assert torch.allclose(together[1], alone[0], atol=1e-3)
