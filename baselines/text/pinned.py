"""Text files that a method reads: their content is part of the method, so its hash is one of the parameters.

A run's fingerprint names the parameters. Without the hash, a run with an edited file would pass for the old one.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from replication_bench import ranges
from replication_bench.errors import ConfigError


def shipped(name: str) -> str:
    """A text file of ``baselines/data``."""
    return (files("baselines") / "data" / name).read_text(encoding="utf-8")


def read(where: str, path: str, hint: str = "") -> str:
    """The text of a file that the parameter ``where`` names.

    Raises:
        ConfigError: it is missing, unreadable, or not UTF-8.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise ConfigError("the file cannot be read", where=where, got=got, hint=hint or None) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8", where=where, got=path) from error


def pin(where: str, text: str, sha256: str) -> str:
    """The hash of ``text``.

    Raises:
        ConfigError: ``sha256`` is given and is another one, or no text.
    """
    ranges.text("sha256", sha256)
    found = hashlib.sha256(text.encode()).hexdigest()
    if sha256 not in ("", found):
        raise ConfigError(
            "the file is not the one that this configuration names",
            where=where,
            got=f"sha256 {found[:12]}",
            want=f"sha256 {str(sha256)[:12]}",
            hint="Put the file back, or start the run again to use the new one.",
        )
    return found
