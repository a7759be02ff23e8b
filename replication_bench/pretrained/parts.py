"""What a backbone consists of."""

from __future__ import annotations

from logging import CRITICAL

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


def quiet() -> None:
    """No progress bars, no warnings, and no errors told beside the exception, from the libraries of networks."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    hub_logging.set_verbosity_error()  # every attempt to reach a hub would be told twice
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity(CRITICAL)  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
