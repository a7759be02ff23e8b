"""Which hooks the methods of the text family are made of."""

from __future__ import annotations

import pytest

from replication_bench import plugins
from replication_bench.method import HOOKS as CONTRACT

HOOKS = {
    "mc": ["dataset", "caption", "facts"],
    "gc": ["dataset", "facts"],
    "gn": ["encode"],
    "fpan": ["encode"],
    "mixup": ["encode"],
    "rc": ["caption"],
    "cwr": ["caption"],
    "rwa": ["caption"],
    "rna": ["caption"],
    "prompt-rt": ["prompt"],
    "prompt-cwr": ["prompt"],
    "prompt-rna": ["prompt"],
    "gni": ["condition"],
}
SAMPLE = ("prompt-rt", "prompt-cwr", "prompt-rna", "gni")


@pytest.mark.parametrize("name", HOOKS)
def test_a_method_of_the_family_is_its_hooks(name: str) -> None:
    kind = plugins.load("methods", name)
    assert kind.kind == ("sample" if name in SAMPLE else "train")
    assert [hook for hook in CONTRACT if kind().overrides(hook)] == HOOKS[name]
