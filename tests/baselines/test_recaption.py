"""``gc`` and ``mc``: captions from a file, shipped or made; what is measured of them; what is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from baselines.lexicon.wordnet import WordNet
from baselines.text.captions import RandomCaption
from baselines.text.files import SETS, Recaptioned, digest
from baselines.text.recaption import SCORES, GeneralisedCaptions, MultipleCaptions
from replication_bench.compose import compose
from replication_bench.data import openmoji, stamps
from replication_bench.data.example import Example, Examples
from replication_bench.errors import ConfigError, DataError
from replication_bench.testing.case import example

CTX: Any = None
DATA = Examples(tuple(example(index) for index in range(3)))
SINGLE = Examples(tuple(item.with_captions(item.captions[:1]) for item in DATA))


def written(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def general(tmp_path: Path) -> str:
    rows = [{"id": item.id, "caption": f"thing {item.id}"} for item in DATA]
    return written(tmp_path / "general.jsonl", *rows, {"id": "another", "caption": "of no image here"})


def first_captions(data: Examples) -> list[str]:
    return [item.captions[0] for item in data]


def test_captions_come_from_the_file_by_id(general: str) -> None:
    data = GeneralisedCaptions(captions=general).dataset(DATA, CTX)
    assert [item.captions for item in data] == [(f"thing {id}",) for id in DATA.ids]
    assert (data.ids, data[0].sha256) == (DATA.ids, DATA[0].sha256)
    assert DATA[0].captions[0] != "thing 0000"


def test_several_captions_in_a_file_are_added_to_the_datasets_own(tmp_path: Path) -> None:
    own = SINGLE[0].captions[0]
    rows = [{"id": item.id, "captions": ["one", own, " two "]} for item in SINGLE]
    path = written(tmp_path / "several.jsonl", *rows)
    data = MultipleCaptions(captions=path).dataset(SINGLE, CTX)
    assert data[0].captions == (own, "one", "two")


def test_every_caption_is_drawn_alike() -> None:
    item = DATA[0].with_captions(("a", "b", "c"))
    rng = np.random.default_rng(0)
    counts = Counter(MultipleCaptions().caption("a", item, rng) for _ in range(3000))
    assert set(counts) == {"a", "b", "c"}
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_a_caption_that_a_part_before_has_changed_stands() -> None:
    whole = compose([("rc", RandomCaption(p=1)), ("mc", MultipleCaptions())])
    for seed in range(10):
        text = whole.caption(DATA[0].captions[0], DATA[0], np.random.default_rng(seed))
        assert len(text.split()) == 4


def test_a_dataset_with_several_captions_is_left_as_it_is() -> None:
    assert MultipleCaptions().dataset(DATA, CTX) is DATA


@pytest.mark.parametrize("kind", [GeneralisedCaptions, MultipleCaptions])
def test_the_embedded_sets_have_shipped_captions(kind: type[Recaptioned]) -> None:
    given = kind().given
    assert set(openmoji.committed_split()["train"]) | set(openmoji.committed_split()["heldout"]) <= set(given)
    assert set(stamps.committed_split()["train"]) | set(stamps.committed_split()["heldout"]) <= set(given)
    assert all(len(caption.split()) <= 5 for row in given.values() for caption in row.captions[-1:])


def test_the_shipped_captions_are_of_the_captions_that_the_set_has_now() -> None:
    data = openmoji.OpenMoji(size=192, duplicates="skin-tones").load().train
    given = GeneralisedCaptions().given
    assert all(given[item.id].of == digest(item.captions[0]) for item in data)
    captions = first_captions(GeneralisedCaptions().dataset(data, CTX))
    assert captions == [given[item.id].captions[0] for item in data]


def test_other_images_get_captions_made_with_wordnet(tiny_wordnet: WordNet) -> None:
    pytest.importorskip("textblob")
    data = Examples((Example("x", ("A gull",), DATA[0].load, "0"),))
    assert first_captions(GeneralisedCaptions().dataset(data, CTX)) == ["a beast"]
    assert MultipleCaptions().dataset(data, CTX)[0].captions == ("A gull", "a sea gull", "a bird", "a beast")


def test_shipped_captions_are_not_for_a_caption_that_a_part_before_changed(tiny_wordnet: WordNet) -> None:
    pytest.importorskip("textblob")
    id = openmoji.committed_split()["train"][0]
    data = Examples((Example(id, ("A gull",), DATA[0].load, "0"),))
    whole = compose([("gc", GeneralisedCaptions()), ("mc", MultipleCaptions())])
    assert whole.dataset(data, CTX)[0].captions == ("a beast", "an animal")


def test_the_generality_of_the_trained_captions_is_measured(tiny_wordnet: WordNet) -> None:
    pytest.importorskip("textblob")
    data = Examples((Example("x", ("A bird sees two tools",), DATA[0].load, "0"),))
    facts = GeneralisedCaptions().facts((), data, CTX)
    assert tuple(fact.name for fact in facts) == SCORES
    values = [fact.value for fact in facts]
    assert values[1:4] == [8, 10, 10]
    assert values[0] == pytest.approx(np.mean(values[1:]))
    assert {fact.n for fact in facts} == {1}


def test_without_wordnet_the_score_is_missing_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WORDNET", str(tmp_path))
    facts = GeneralisedCaptions().facts((), DATA, CTX)
    assert [fact.value for fact in facts] == [None] * 5
    assert all("WordNet is not there" in str(fact.reason) for fact in facts)


def test_without_wordnet_other_images_are_refused_with_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WORDNET", str(tmp_path))
    for kind, name in ((GeneralisedCaptions, "gc"), (MultipleCaptions, "mc")):
        with pytest.raises(DataError, match=f"methods.{name}.captions=FILE") as caught:
            kind().dataset(SINGLE, CTX)
        assert "apt-get install wordnet-base" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_mc_tells_how_many_captions_there_were() -> None:
    (fact,) = MultipleCaptions().facts((), DATA, CTX)
    assert (fact.name, fact.value, fact.n) == ("captions_per_image", 2.0, 3)


def test_ids_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "other.jsonl", {"id": "0000", "caption": "a thing"})
    message = r"of other images; in .*other.jsonl; got 2 of 3 images without one, first '0001'"
    with pytest.raises(DataError, match=message):
        GeneralisedCaptions(captions=path).dataset(DATA, CTX)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json\n", r"not a line of captions; in .* line 1; got no json"),
        ('{"id": "a", "caption": "x"}\n\n{"id": "b"}\n', r"line 3"),
        ('{"id": "a", "caption": ""}\n', r"not a line"),
        ('{"id": "a", "caption": 3}\n', r"not a line"),
        ('{"id": "a", "captions": "x"}\n', r"not a line"),
        ('{"caption": "x"}\n', r"not a line"),
        ("[1]\n", r"not a line"),
        ('{"id": "a", "caption": "x"}\n{"id": "a", "caption": "y"}\n', r"stands twice; in .* line 2; got a"),
    ],
)
def test_a_file_of_another_form_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        GeneralisedCaptions(captions=str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot be read; in captions; got .*none.jsonl: No such file.*Write one"
    ):
        GeneralisedCaptions(captions=str(tmp_path / "none.jsonl"))


def test_an_edited_file_is_another_method(general: str) -> None:
    before = GeneralisedCaptions(captions=general)
    assert GeneralisedCaptions(**asdict(before)) == before
    with Path(general).open("a", encoding="utf-8") as file:
        file.write('{"id": "more", "caption": "x"}\n')
    assert GeneralisedCaptions(captions=general) != before
    with pytest.raises(ConfigError, match="not the one that this configuration names"):
        GeneralisedCaptions(**asdict(before))


def test_there_is_a_file_for_each_embedded_set() -> None:
    assert SETS == ("openmoji", "stamps")
