"""Weights files: where they are looked for, how they are read safely, and what is said where they are missing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from replication_bench.errors import WeightsError
from replication_bench.store import cache_folder


def weights_folder() -> Path:
    """Where downloaded weights are looked for by name: ``REPLBENCH_WEIGHTS``, else ``weights`` in the cache."""
    return Path(os.environ.get("REPLBENCH_WEIGHTS") or cache_folder() / "weights")


def find_file(path: str, names: tuple[str, ...], what: str, hint: str) -> Path:
    """The file at ``path``, or, where that is empty, the first of ``names`` in ``weights_folder()``.

    Raises:
        WeightsError: no such file; the hint says how to get it.
    """
    for candidate in [Path(path)] if path else [weights_folder() / name for name in names]:
        if candidate.is_file():
            return candidate
    raise WeightsError(
        f"the {what} weights are missing", where=path or weights_folder() / names[0], hint=hint
    )


def read_state(path: Path, what: str, hint: str) -> dict[str, Any]:
    """A state dict from a ``.safetensors`` file or a torch file, of which nothing but tensors is accepted.

    Raises:
        WeightsError: the file holds something else, code included.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise not_weights(path, what, hint, str(error)) from error
    except Exception as error:
        if type(error).__name__ == "SafetensorError":
            raise not_weights(path, what, hint, str(error)) from error
        raise
    if not isinstance(state, dict):
        raise not_weights(path, what, hint, type(state).__name__)
    return state


def download(url: str, what: str, hint: str, sha256_prefix: str | None = None) -> Path:
    """The file at ``url`` in ``weights_folder()``, fetched once, with a progress bar on stderr.

    Never called unless the user asked for it. The file appears when it is whole and its hash is right.

    Raises:
        WeightsError: the address cannot be reached, or another file lies there.
    """
    path = weights_folder() / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), sha256_prefix, progress=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"the {what} weights cannot be downloaded", where=url, got=error, hint=hint
        ) from error
    return path


def cached_in_hub(repository: str, file: str, what: str, hint: str) -> str:
    """``repository``, where ``file`` of it is in the hub's cache on this machine.

    Raises:
        WeightsError: it is not.
    """
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(repository, file), str):
        return f"{repository}, in the hub's cache"
    raise WeightsError(f"the {what} weights are missing", where=f"the hub's cache, {repository}", hint=hint)


def not_weights(path: object, what: str, hint: str, got: str) -> WeightsError:
    """The error for a file that holds no weights of the expected form."""
    first = got.strip().splitlines()[0] if got.strip() else "nothing"
    return WeightsError(f"the file holds no {what} weights", where=path, got=first[:160], hint=hint)
