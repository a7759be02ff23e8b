"""Duplication plans: some training images stand in the training set several times, as in the web's collections.

The plans are those of Somepalli et al. (arXiv 2305.20086; somepago/DCR, ``--duplication``): 5 % of the images are
drawn five times as often. There a weighted sampler draws with replacement; here the copies stand in the training set,
so that each epoch holds every one of them. The set that generated images are compared with has each image once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from replication_bench.config import DuplicationConfig
from replication_bench.data.example import Example, Examples, Splits
from replication_bench.errors import DataError


def chosen(ids: Sequence[str], plan: DuplicationConfig) -> frozenset[str]:
    """The share of ``ids`` that is duplicated, at least one, by a seeded hash of each id."""
    ranked = sorted(ids, key=lambda id: hashlib.sha256(f"{plan.seed}\x1f{id}".encode()).hexdigest())
    return frozenset(ranked[: max(1, round(plan.share * len(ranked)))])


def rotated(captions: tuple[str, ...], by: int) -> tuple[str, ...]:
    """The captions from the ``by``-th on, then those before it."""
    start = by % len(captions)
    return captions[start:] + captions[:start]


def with_copies(example: Example, plan: DuplicationConfig) -> Example:
    """The example with its copies: with its own captions, or for ``dup_image`` each with another one first."""
    turn = plan.plan == "dup_image"
    copies = (rotated(example.captions, number if turn else 0) for number in range(1, plan.times))
    return replace(example, copies=tuple(copies))


def duplicated(splits: Splits, plan: DuplicationConfig) -> Splits:
    """The splits with copies of some training images; the same where the plan is ``nodup``.

    Raises:
        DataError: ``dup_image`` and no chosen image has a second caption.
    """
    if plan.plan == "nodup":
        return splits
    picked = chosen(splits.train.ids, plan)
    if plan.plan == "dup_image" and all(len(e.captions) < 2 for e in splits.train if e.id in picked):
        raise DataError(
            "dup_image gives copies other captions, and no duplicated image has a second one",
            where="duplication.plan",
            got=f"{len(picked)} images",
            want="images with several captions",
            hint="Choose dup_both.",
        )
    train = Examples(tuple(with_copies(e, plan) if e.id in picked else e for e in splits.train))
    told = f"{plan.plan}: {len(picked)} of {len(train)} training images are held {plan.times} times."
    return replace(splits, train=train, note=" ".join((splits.note, told)).strip())
