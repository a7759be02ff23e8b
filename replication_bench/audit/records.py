"""The sets of an audit as its result records them."""

from __future__ import annotations

import hashlib

from replication_bench.audit.index import Index
from replication_bench.audit.request import Role
from replication_bench.results import DatasetRecord, ImagesRecord


def dataset_record(path: str, train: Index, heldout: Index | None) -> DatasetRecord:
    """The training and held-out images as a data set; ``path`` is what was given."""
    return DatasetRecord(
        name=train.facts.kind,
        options={"path": path},
        fingerprint=dataset_fingerprint(train, heldout),
        train=len(train.rows),
        heldout=len(heldout.rows) if heldout else 0,
    )


def dataset_fingerprint(train: Index, heldout: Index | None) -> str:
    """SHA-256 over the two sets."""
    both = train.facts.fingerprint + (heldout.facts.fingerprint if heldout else "")
    return hashlib.sha256(both.encode()).hexdigest()


def images_record(role: Role, path: str, index: Index) -> ImagesRecord:
    """One set as a result records it."""
    facts = index.facts
    return ImagesRecord(
        role=role,
        path=path,
        kind=facts.kind,
        found=facts.found,
        used=len(index.rows),
        skipped=len(facts.skipped),
        first_frame=sum(row.frames > 1 for row in index.rows),
        captioned=sum(bool(row.captions) for row in index.rows),
        fingerprint=facts.fingerprint,
        notes=tuple(facts.notes),
    )
