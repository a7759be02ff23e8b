"""Methods that only sample, put onto a model that is trained already."""

from __future__ import annotations

from collections.abc import Mapping

from replication_bench.config import NamedOptions, Options
from replication_bench.errors import ConfigError
from replication_bench.resolve import build_method, method_parts
from replication_bench.trained.facts import trained_part

NONE = "none"


def refuse_training(name: str, options: Mapping[str, Options]) -> None:
    """Raise ConfigError where a part of the method ``name`` changes training."""
    trained = trained_part(build_method(name, dict(options))[1]).name
    if trained != NONE:
        raise ConfigError(
            f"'{trained}' changes training, and --from trains nothing",
            got=f"--method {name}",
            want="a method of kind sample (see replbench methods)",
            hint="Leave --from out to train.",
        )


def put_onto(trained: NamedOptions, name: str, options: Mapping[str, Options]) -> str:
    """The name of the composition of what was ``trained`` and the method ``name``.

    A name that repeats what was trained (``loyal+wen`` onto ``loyal``) stays as it is.

    Raises:
        ConfigError: ``name`` has a part that changes training and is not what was trained.
    """
    if trained_part(build_method(name, dict(options))[1]).name == trained.name:
        return name
    refuse_training(name, options)
    parts = [part for part in method_parts(name) if part != NONE]
    return "+".join([trained.name, *parts])
