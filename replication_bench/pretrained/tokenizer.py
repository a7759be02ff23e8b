"""CLIP tokenizers without a download: one of bytes, and OpenAI's out of the vocabulary that open_clip ships."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from replication_bench.errors import WeightsError

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
VOCABULARY = 49_408
VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"


def new_tokenizer(
    alphabet: Sequence[str], merges: Sequence[tuple[str, str]], length: int, pad: str = END
) -> Any:
    """A ``CLIPTokenizer`` of single letters, letters that end a word, and merges, begin and end last."""
    from transformers import CLIPTokenizer

    merged = [left + right for left, right in merges]
    pieces = dict.fromkeys([*alphabet, *(f"{letter}</w>" for letter in alphabet), *merged, START, END])
    vocab = {piece: index for index, piece in enumerate(pieces)}
    model: Any = CLIPTokenizer
    tokenizer = model(vocab=vocab, merges=list(merges), model_max_length=length, pad_token=pad)
    # transformers swallows misspelt arguments and would leave a vocabulary of two tokens
    assert len(tokenizer) == len(pieces)
    return tokenizer


def byte_tokenizer(length: int = LENGTH, pad: str = END) -> Any:
    """Every byte is a token; 514 tokens in all."""
    from tokenizers.pre_tokenizers import ByteLevel

    return new_tokenizer(sorted(ByteLevel.alphabet()), [], length, pad)


def byte_letters() -> list[str]:
    """The letters that stand for the 256 bytes, in the order of OpenAI's vocabulary: the printable ones first."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    return [chr(code) for code in (*printable, *range(256, 256 + 256 - len(printable)))]


def clip_tokenizer(pad: str = END) -> Any:
    """OpenAI's tokenizer, which all Stable Diffusion 1.x and 2.x use.

    Raises:
        WeightsError: open_clip, whose package holds the vocabulary, is not installed.
    """
    try:
        packed = (files("open_clip") / VOCABULARY_FILE).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise WeightsError(
            "CLIP's vocabulary is not on this machine",
            got=error,
            hint="pip install 'replbench[clip]', whose package open_clip_torch holds it.",
        ) from error
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    wanted = VOCABULARY - 2 * 256 - 2
    merges = [(left, right) for left, right in (line.split() for line in lines[1 : wanted + 1])]
    return new_tokenizer(byte_letters(), merges, LENGTH, pad)
