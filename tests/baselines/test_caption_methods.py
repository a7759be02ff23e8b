"""Caption and prompt methods: how often, what, and which parameters are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.text import words
from baselines.text.captions import (
    CaptionWordRepetition,
    RandomCaption,
    RandomNumbers,
    RandomWords,
    Sometimes,
)
from baselines.text.prompts import PromptRandomNumbers, PromptRandomWords, PromptWordRepetition
from replication_bench.compose import compose
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.testing.case import example

TEXT = "a small green bird"
DRAWS = 2000
EXAMPLE = example(0)
CAPTIONS = (CaptionWordRepetition, RandomCaption, RandomNumbers, RandomWords)
PROMPTS = (PromptRandomNumbers, PromptRandomWords, PromptWordRepetition)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def caption(method: Method, seed: int) -> str:
    return method.caption(TEXT, EXAMPLE, rng(seed))


@pytest.mark.parametrize("kind", CAPTIONS)
@pytest.mark.parametrize("p", [0.1, 0.4])
def test_captions_are_perturbed_with_probability_p(kind: type[Sometimes], p: float) -> None:
    changed = sum(caption(kind(p=p), seed) != TEXT for seed in range(DRAWS))
    assert abs(changed / DRAWS - p) < 4 * np.sqrt(p * (1 - p) / DRAWS)


@pytest.mark.parametrize("kind", CAPTIONS)
def test_never_and_always(kind: type[Sometimes]) -> None:
    assert {caption(kind(p=0), seed) for seed in range(50)} == {TEXT}
    assert TEXT not in {caption(kind(p=1), seed) for seed in range(50)}


@pytest.mark.parametrize(
    ("method", "length"),
    [
        (CaptionWordRepetition(p=1), 4 + 2),
        (RandomNumbers(p=1), 4 + 2),
        (RandomWords(p=1), 4 + 2),
        (RandomCaption(p=1), 4),
        (RandomWords(p=1, n=7), 4 + 7),
        (RandomCaption(p=1, n=9), 9),
    ],
)
def test_the_length_of_a_perturbed_caption(method: Sometimes, length: int) -> None:
    assert {len(caption(method, seed).split()) for seed in range(20)} == {length}


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("n", [2, 4])
def test_every_prompt_gets_n_more_words(kind: type[Method], n: int) -> None:
    method = kind(n=n)
    for seed in range(20):
        assert len(method.prompt(TEXT, rng(seed)).split()) == 4 + n


@pytest.mark.parametrize(
    ("train", "sample"),
    [
        (CaptionWordRepetition(p=1), PromptWordRepetition()),
        (RandomNumbers(p=1), PromptRandomNumbers()),
        (RandomWords(p=1), PromptRandomWords()),
    ],
)
def test_captions_and_prompts_are_perturbed_alike(train: Sometimes, sample: Method) -> None:
    for seed in range(20):
        assert train.perturbed(TEXT, rng(seed)) == sample.prompt(TEXT, rng(seed))


def test_in_a_composition_each_part_perturbs_what_the_part_before_returned() -> None:
    replaced = RandomCaption(p=1, n=3)
    repeated = CaptionWordRepetition(p=1)
    after = compose([("rc", replaced), ("cwr", repeated)]).caption(TEXT, EXAMPLE, rng())
    before = compose([("cwr", repeated), ("rc", replaced)]).caption(TEXT, EXAMPLE, rng())
    assert (len(after.split()), len(set(after.split()))) == (5, 3)
    assert len(before.split()) == 3
    assert not set(before.split()) & set(TEXT.split())


def test_the_shipped_pool_is_ten_thousand_different_words() -> None:
    pool = RandomCaption().pool
    assert len(pool) == len(set(pool)) == 10_000
    assert all(word.isalpha() for word in pool)


def test_a_pool_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    path.write_text("# a comment\n#\n\nzig\n", encoding="utf-8")
    assert RandomCaption(words=str(path)).pool == ("#", "zig")
    assert set(PromptRandomWords(words=str(path)).prompt("", rng()).split()) <= {"#", "zig"}


def test_a_pool_that_changed_is_not_the_pool_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    path.write_text("zig\n", encoding="utf-8")
    method = RandomWords(words=str(path))
    assert RandomWords(words=str(path), sha256=method.sha256) == method
    path.write_text("zag\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not the one that this configuration names; in words"):
        RandomWords(words=str(path), sha256=method.sha256)
    assert RandomWords(words=str(path)).pool == ("zag",)


def test_a_pool_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"\xe9")
    for name, words_ in (("empty", "no words"), ("latin", "not UTF-8"), ("none", "cannot be read")):
        with pytest.raises(ConfigError, match=words_) as caught:
            RandomCaption(words=str(tmp_path / name))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", CAPTIONS)
@pytest.mark.parametrize(
    ("options", "message"),
    [({"p": 1.5}, "in p"), ({"p": "often"}, "in p"), ({"n": 0}, "in n"), ({"n": 1.5}, "in n")],
)
def test_parameters_out_of_range_are_refused(
    kind: type[Sometimes], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**options)


@pytest.mark.parametrize("kind", PROMPTS)
def test_a_prompt_without_insertions_is_refused(kind: type[Method]) -> None:
    with pytest.raises(ConfigError, match="in n"):
        kind(n=0)


def test_comments_are_no_words() -> None:
    assert not any(word.startswith("#") for word in words.pool("", RandomCaption().sha256))
