"""Whether a hub can be reached, asked before anything is downloaded.

The hub's client tries for most of a minute to reach a hub that is not there: right in the middle of a download, too
long on a machine without network. Downloads keep that patience; only the first contact is short.
"""

from __future__ import annotations

from collections.abc import Sequence

from replication_bench.errors import WeightsError

SECONDS = 10.0  # for an answer
RETRIES = 1  # one second later


def check_reachable(name: str, files: Sequence[str] = ("model_index.json",), hint: str = "") -> None:
    """Refuse a hub that gives no answer; not asked where one of ``files`` is in the cache, or the client is offline.

    Args:
        name: hub id.
        files: what is read first, whichever there is; that of a pipeline where left out.
        hint: what else to give; a folder in diffusers format where left out.

    Raises:
        WeightsError: no answer, of whatever status.
        ValueError: the name can be no hub id.
    """
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.utils import http_backoff  # type: ignore[attr-defined]

    cached = any(isinstance(try_to_load_from_cache(name, file), str) for file in files)
    if cached or constants.HF_HUB_OFFLINE:
        return
    try:
        http_backoff(
            "HEAD", constants.ENDPOINT, max_retries=RETRIES, retry_on_status_codes=(), timeout=SECONDS
        )
    except Exception as error:  # of the client's own kinds, which have changed with its versions
        raise WeightsError(
            "the hub cannot be reached",
            where=constants.ENDPOINT,
            got=error,
            want=f"an answer about {name}",
            hint=hint
            or f"There is no folder {name} here; give one in diffusers format, or try again with a network.",
        ) from error
