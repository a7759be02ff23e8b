"""What a backbone consists of."""

from __future__ import annotations

PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


def quiet() -> None:
    """No progress bars and no warnings from diffusers and transformers while they load."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
