#!/usr/bin/env python3
"""Make what baselines/data holds: the captions of the embedded sets for ``gc`` and ``mc``, and the random words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from baselines.lexicon.wordnet import installed, lines
from baselines.lexicon.write import report, write
from replication_bench.data.openmoji import OpenMoji
from replication_bench.data.stamps import Stamps

DATA = Path(__file__).parent.parent / "baselines" / "data"
SETS = {"openmoji": OpenMoji(size=192, duplicates="skin-tones"), "stamps": Stamps(size=192)}
WORDS = 10_000
HEADER = "# The most frequent words of WordNet 3.0's sense-tagged texts, by scripts/caption_data.py; see WORDNET.txt\n"


def frequent_words() -> list[str]:
    """Single words of two letters and more, the most frequent first; equally frequent ones by the alphabet."""
    counts: Counter[str] = Counter()
    for line in lines(installed().folder / "cntlist.rev"):
        key, _, count = line.split()
        counts[key.partition("%")[0]] += int(count)
    plain = [word for word in counts if word.isascii() and word.isalpha() and len(word) > 1]
    return sorted(plain, key=lambda word: (-counts[word], word))[:WORDS]


def main() -> None:
    for name, dataset in SETS.items():
        splits = dataset.load()
        examples = [*splits.train, *splits.heldout]
        write(DATA / f"several-{name}.jsonl", examples, several=True)
        captions = write(DATA / f"general-{name}.jsonl", examples, several=False)
        print(f"{name}: {len(examples)} images")
        print(report([e.captions[0] for e in examples], [texts[0] for texts in captions.values()]))
    words = HEADER + "\n".join(frequent_words()) + "\n"
    (DATA / "words.txt").write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
