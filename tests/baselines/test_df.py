from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.df import DualFusion, tail_states, tail_tokens
from replication_bench.data.example import Examples
from replication_bench.errors import DataError, PluginError
from replication_bench.method import Batch, Context, Encoded
from replication_bench.testing import planted_folder
from replication_bench.testing.case import example, generator

OBJECT = example(40).with_captions(["a blue square"])


@pytest.fixture
def one(ctx: Context) -> Context:
    """A context with a single object, so that nothing is left to chance."""
    return replace(ctx, public=Examples((OBJECT,)), memo={})


@pytest.fixture
def row(ctx: Context, examples: Examples) -> tuple[Encoded, Batch]:
    chosen = (examples[0], examples[1])
    captions = ("a red circle", "a green line")
    backbone = ctx.backbone
    latents = backbone.encode_images(torch.stack([backbone.to_tensor(e.load()) for e in chosen]))
    return Encoded(latents, backbone.encode_text(captions)), Batch(chosen, captions)


def object_latents(ctx: Context) -> Tensor:
    return ctx.backbone.encode_images(ctx.backbone.to_tensor(OBJECT.load())[None])


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 1.0])
def test_latents_are_the_weighted_mean(weight: float, one: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    out = DualFusion(w_lat=weight).encode(encoded, batch, one, generator())
    assert torch.allclose(out.latents, (1 - weight) * encoded.latents + weight * object_latents(one))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_embed_add_is_the_weighted_mean_of_text_states(
    weight: float, one: Context, row: tuple[Encoded, Batch]
) -> None:
    encoded, batch = row
    out = DualFusion(w_emb=weight).encode(encoded, batch, one, generator())
    other = one.backbone.encode_text([" with a blue square"])
    assert torch.allclose(out.cond, (1 - weight) * encoded.cond + weight * other, atol=1e-6)


def test_no_add_leaves_the_text_alone(one: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    out = DualFusion(fusion="no_add").encode(encoded, batch, one, generator())
    assert torch.equal(out.cond, encoded.cond)
    assert not torch.equal(out.latents, encoded.latents)


def test_tail_add_reads_the_object_before_the_end_token(one: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    caption, text = batch.captions[0], " with a blue square"
    tokenizer = one.backbone.tokenizer
    assert tail_tokens(tokenizer, caption, text) == tokenizer(caption + text).input_ids
    out = DualFusion(fusion="tail_add").encode(encoded, batch, one, generator())
    want = one.backbone.encode_text([f"{caption}{text}" for caption in batch.captions])
    assert torch.allclose(out.cond, want, atol=1e-5)


def test_tail_add_keeps_what_the_part_before_did(one: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    noise = torch.randn(encoded.cond.shape, generator=generator(9))
    method = DualFusion(fusion="tail_add")
    plain = method.encode(encoded, batch, one, generator())
    noisy = method.encode(encoded._replace(cond=encoded.cond + noise), batch, one, generator())
    assert torch.allclose(noisy.cond - plain.cond, noise, atol=1e-5)


def test_a_long_caption_makes_room_for_the_object(one: Context) -> None:
    tokenizer = one.backbone.tokenizer
    length = tokenizer.model_max_length
    tokens = tail_tokens(tokenizer, "red " * 40, " with a blue square")
    other = tokenizer(" with a blue square", add_special_tokens=False).input_ids
    assert len(tokens) == length
    assert tokens[-1] == tokenizer.eos_token_id
    assert tokens[-1 - len(other) : -1] == other
    assert len(tail_tokens(tokenizer, "red", "blue " * 40)) == length
    assert tail_states(one.backbone, ["red"], ["blue " * 40]).shape[1] == length


def test_objects_follow_the_generator_and_are_all_drawn(ctx: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    method = DualFusion(w_lat=1.0)
    first, again = (method.encode(encoded, batch, ctx, generator(1)).latents for _ in range(2))
    assert torch.equal(first, again)
    seen = {
        tuple(latents.flatten()[:3].tolist())
        for seed in range(20)
        for latents in method.encode(encoded, batch, ctx, generator(seed)).latents
    }
    assert len(seen) == 3


def test_each_row_is_fused_with_an_object_of_its_own_and_with_that_one_s_caption(
    ctx: Context, row: tuple[Encoded, Batch]
) -> None:
    encoded, batch = row
    objects = [
        example(40 + i).with_captions([f"a {c} square"]) for i, c in enumerate(("red", "blue", "black"))
    ]
    ctx = replace(ctx, public=Examples(tuple(objects)), memo={})
    latents = ctx.backbone.encode_images(torch.stack([ctx.backbone.to_tensor(o.load()) for o in objects]))
    states = ctx.backbone.encode_text([f" with {o.captions[0]}" for o in objects])
    drawn = set()
    for seed in range(20):
        out = DualFusion(w_lat=1.0, w_emb=1.0).encode(encoded, batch, ctx, generator(seed))
        found = torch.cdist(out.latents.flatten(1), latents.flatten(1)).argmin(1)
        assert torch.allclose(out.cond, states[found], atol=1e-5)
        drawn.add(tuple(found.tolist()))
    assert any(first != second for first, second in drawn)


def test_every_caption_of_an_object_is_drawn(ctx: Context, row: tuple[Encoded, Batch]) -> None:
    encoded, batch = row
    captions = ["a red square", "a blue line"]
    ctx = replace(ctx, public=Examples((OBJECT.with_captions(captions),)), memo={})
    states = ctx.backbone.encode_text([f" with {caption}" for caption in captions])
    conds = [DualFusion(w_emb=1.0).encode(encoded, batch, ctx, generator(seed)).cond for seed in range(10)]
    distances = torch.cdist(torch.cat(conds).flatten(1), states.flatten(1))
    assert float(distances.amin(1).max()) < 1e-3
    assert set(distances.argmin(1).tolist()) == {0, 1}


def test_another_dataset_or_a_folder_serves_as_objects(
    ctx: Context, tmp_path: Path, examples: Examples
) -> None:
    planted_folder(tmp_path / "objects", 12, duplicates=0, seed=3)
    method = DualFusion(objects=str(tmp_path / "objects"))
    assert method.dataset(examples, ctx) == examples
    (fact,) = method.facts((), examples, ctx)
    assert fact.value == len(method.pool(ctx).examples) > 0
    assert fact.note
    assert method.pool(ctx).examples.fingerprint[:12] in fact.note


def test_a_dataset_with_public_images_lends_those(ctx: Context) -> None:
    from replication_bench.data.openmoji import OpenMoji

    assert DualFusion(objects="openmoji").pool(ctx).examples == OpenMoji().load().public


def test_missing_unknown_and_private_objects_are_refused(ctx: Context, examples: Examples) -> None:
    def refuse(objects: str, public: Examples, error: Any, words: str) -> None:
        with pytest.raises(error, match=words):
            DualFusion(objects=objects).dataset(examples, replace(ctx, public=public, memo={}))

    refuse("public", Examples(()), DataError, "no public images")
    refuse("public", Examples(examples.items[:2]), DataError, "got 2 of them in")
    refuse("openmojy", Examples(()), PluginError, "Did you mean 'openmoji'")
    refuse("./nowhere", Examples(()), DataError, "nowhere")


def test_images_that_an_earlier_part_left_out_and_held_out_ones_are_no_objects(
    one: Context, examples: Examples
) -> None:
    ctx = replace(one, reserved=frozenset({OBJECT.sha256}), memo={})
    assert DualFusion().dataset(examples, one) is examples
    with pytest.raises(DataError, match="objects must not be training or held-out images"):
        DualFusion().dataset(examples, ctx)
