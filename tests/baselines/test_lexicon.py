"""WordNet's relations, general captions and the generality score, on a WordNet of eight meanings and the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.lexicon import generalise as captions
from baselines.lexicon import wordnet as reader
from baselines.lexicon.generality import Generality, generality, scaled
from baselines.lexicon.wordnet import WordNet
from replication_bench.errors import DataError

pytest.importorskip("textblob", reason="the package textblob is not installed")
installed = pytest.mark.skipif(
    not (reader.FOLDER / "data.noun").is_file(), reason="wordnet-base is not installed"
)


def test_a_noun_is_found_in_its_forms(tiny_wordnet: WordNet) -> None:
    for words in ("gull", "Gulls", "sea gulls", "Sea Gull"):
        found = tiny_wordnet.first(words)
        assert found is not None
        assert found.lemmas == ("gull", "sea_gull")
    bird = tiny_wordnet.first("birdies")
    assert bird is not None
    assert bird.lemmas == ("bird",)
    assert tiny_wordnet.first("unknown") is None


def test_kinds_are_counted_without_named_instances(tiny_wordnet: WordNet) -> None:
    counts = {
        word: tiny_wordnet.kinds(synset, 100)
        for word in ("entity", "animal", "bird", "gull")
        if (synset := tiny_wordnet.first(word))
    }
    assert counts == {"entity": 6, "animal": 3, "bird": 1, "gull": 0}


def test_depth_is_the_way_to_the_top_instances_included(tiny_wordnet: WordNet) -> None:
    depths = [tiny_wordnet.depth(s) for s in tiny_wordnet.synsets.values()]
    assert depths == [0, 1, 1, 2, 2, 2, 3, 3]
    assert tiny_wordnet.mean_depth == 14 / 8
    assert tiny_wordnet.hyponyms == 6


def test_the_word_for_a_meaning_is_the_one_in_use(tiny_wordnet: WordNet) -> None:
    animal = tiny_wordnet.first("animal")
    assert animal is not None
    assert tiny_wordnet.word(animal) == "beast"


def test_a_picture_shows_the_animal_and_not_the_turn_at_hitting(tiny_wordnet: WordNet) -> None:
    first, pictured = tiny_wordnet.first("bat"), tiny_wordnet.pictured("bat")
    assert first is not None
    assert pictured is not None
    assert (first.file, pictured.file) == (4, 5)


def test_a_noun_climbs_until_it_covers_enough_kinds(
    tiny_wordnet: WordNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for breadth, want in ((1, "a bird"), (2, "a beast"), (50, "a beast")):
        captions.generalise.cache_clear()
        monkeypatch.setattr(captions, "BREADTH", breadth)
        assert captions.generalise("Two grey sea gulls") == want


def test_a_caption_without_a_known_noun_becomes_the_papers_baseline(tiny_wordnet: WordNet) -> None:
    assert captions.generalise("Räuchermännchen") == captions.NOTHING == "an image"
    assert captions.alternatives("Räuchermännchen") == ("an image",)


def test_alternatives_are_synonyms_then_kinds_and_never_the_caption(tiny_wordnet: WordNet) -> None:
    assert captions.alternatives("A gull") == ("a sea gull", "a bird", "a beast")


def test_a_missing_wordnet_is_one_line_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WORDNET", str(tmp_path))
    with pytest.raises(DataError, match=r"WordNet is not there.*apt-get install wordnet-base") as caught:
        reader.installed()
    assert "\n" not in str(caught.value)


def test_the_score_by_hand(tiny_wordnet: WordNet) -> None:
    score = generality("A bird sees two tools", tiny_wordnet)  # DT NN VBZ CD NNS
    middle = 6 / 30_000
    assert score == Generality(
        specificity=10 * (1 - 1 / 5),
        broadness=scaled((1 + 0 + 1) / 5, middle),
        tense_modality=10.0,
        abstraction=10 * 1.5 / (2 * 14 / 8),
    )
    assert score.broadness == 10
    assert score.mean == pytest.approx((8 + 10 + 10 + score.abstraction) / 4)


def test_broadness_is_counted_for_each_word(tiny_wordnet: WordNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the words and not of the nouns; few nouns in daily use keep the tiny WordNet off the end of the scale."""
    monkeypatch.setattr("baselines.lexicon.generality.EVERYDAY_NOUNS", tiny_wordnet.hyponyms)
    assert generality("A bird sees two tools", tiny_wordnet).broadness == pytest.approx(10 * (2 / 5) / 2)
    assert generality("bird", tiny_wordnet).broadness == pytest.approx(10 * 1 / 2)


def test_names_and_the_past_are_specific(tiny_wordnet: WordNet) -> None:
    named = generality("Germany", tiny_wordnet)
    assert (named.specificity, named.broadness, named.tense_modality, named.abstraction) == (0, 0, 5, 5)
    assert generality("A bird saw a tool", tiny_wordnet).tense_modality == 0


@installed
@pytest.mark.parametrize(
    ("caption", "want"),
    [
        ("A Sumatran tiger", "an animal"),
        ("oncoming taxi", "a vehicle"),
        ("A pair of pliers", "a tool"),
        ("Statue of Liberty", "art"),
        ("A great blue heron", "a bird"),
        ("rescue worker\u2019s helmet", "a protection"),
        ("racing car", "a vehicle"),
        ("This gun last saw service during World War 2", "a weapon"),
    ],
)
def test_general_captions_with_the_real_wordnet(caption: str, want: str) -> None:
    assert captions.generalise(caption) == want


def test_an_empty_caption_has_a_score(tiny_wordnet: WordNet) -> None:
    assert generality(" ", tiny_wordnet) == Generality(10, 0, 5, 5)


@installed
def test_the_real_wordnet_has_the_known_size() -> None:
    wordnet = reader.installed()
    assert len(wordnet.synsets) == 82_115  # wnstats(7WN), nouns of WordNet 3.0
    assert len(wordnet.senses) == 117_798


@installed
def test_general_captions_score_higher() -> None:
    assert generality("an animal").mean > generality("Grandma's 2 Sumatran tigers were seen").mean
