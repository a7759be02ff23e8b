"""What a backbone consists of."""

from __future__ import annotations

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


def quiet() -> None:
    """No progress bars and no warnings from diffusers, transformers and the hub while they load."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    hub_logging.set_verbosity_error()  # every attempt to reach a hub would be told twice
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
