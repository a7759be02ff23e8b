"""Train both towers into the teacher's space.

Text tower: the vector of a phrase, bare or in a template, is the teacher's (distillation). Image tower: among the
captions of its batch, a picture is nearest to its own caption's teacher vector (contrastive, Radford et al. 2021).
Needs torch, numpy, safetensors, open_clip and the prepared ``.npz`` alone.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip import augment
from clip.model import load_tower, new_model, normalised

BATCH = 128
PHRASES = 512
TRUNK_RATE, HEAD_RATE, TEXT_RATE = 5e-5, 5e-4, 1e-3
MEANING = 0.3


class Data(NamedTuple):
    """What was prepared, on the device; ``shown`` lists the drawings that are trained on, ``kept`` the others."""

    drawings: Tensor
    caption_rows: Tensor
    tokens: Tensor
    vectors: Tensor
    shown: Tensor
    kept: Tensor


def be_deterministic(seed: int) -> None:
    """Equal seeds on equal devices give equal weights."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def load(arrays: dict[str, np.ndarray], device: str, validate: bool) -> Data:
    """The arrays as tensors; with ``validate`` every tenth drawing is kept back."""
    drawings = torch.from_numpy(arrays["drawings"]).permute(0, 3, 1, 2).contiguous()
    index = torch.arange(len(drawings))
    kept = index[3::10] if validate else index[:0]
    shown = index[~torch.isin(index, kept)]
    tokens = torch.from_numpy(np.stack([arrays["tokens"], arrays["templated"]])).long()
    vectors = functional.normalize(torch.from_numpy(arrays["vectors"]).float(), dim=1)
    rows = torch.from_numpy(arrays["caption_rows"]).long()
    return Data(*(part.to(device) for part in (drawings, rows, tokens, vectors, shown, kept)))


def text_loss(model: Any, data: Data, rng: torch.Generator) -> Tensor:
    """1 - cosine between the tower's and the teacher's vectors; half of the phrases are in templates."""
    n, device = PHRASES, rng.device
    captions = data.caption_rows[data.shown]
    rows = torch.randint(data.vectors.shape[0], (n,), generator=rng, device=device)
    rows[: n // 4] = captions[torch.randint(len(captions), (n // 4,), generator=rng, device=device)]
    form = torch.randint(2, (n,), generator=rng, device=device)
    got = model.encode_text(data.tokens[form, rows], normalize=True)
    return 1 - (got * data.vectors[rows]).sum(1).mean()


def image_loss(model: Any, data: Data, chosen: Tensor, rng: torch.Generator) -> Tensor:
    """Contrastive over the batch, with targets softened by how alike the captions are; plus the cosine itself."""
    pictures = augment.augmented(data.drawings[chosen], rng)
    got = functional.normalize(model.encode_image(normalised(pictures)), dim=1)
    wanted = data.vectors[data.caption_rows[chosen]]
    scale = model.logit_scale.exp().clamp(max=50)
    with torch.no_grad():
        likeness = ((wanted @ wanted.T) / 0.07).softmax(1)
    contrast = functional.cross_entropy(scale * got @ wanted.T, likeness)
    return contrast + MEANING * (1 - (got * wanted).sum(1).mean())


def optimiser(model: Any) -> torch.optim.Optimizer:
    trunk = list(model.visual.trunk.parameters())
    head = [*model.visual.head.parameters(), model.logit_scale]
    known = {id(p) for p in (*trunk, *head)}
    text = [p for p in model.parameters() if id(p) not in known]
    groups = zip((trunk, head, text), (TRUNK_RATE, HEAD_RATE, TEXT_RATE), strict=True)
    parts = [{"params": part, "lr": rate, "peak": rate} for part, rate in groups]
    return torch.optim.AdamW(parts, betas=(0.9, 0.98), weight_decay=0.05)


def batches(shown: Tensor, rng: torch.Generator):
    """Endless batches of drawing numbers: every drawing once before any twice."""
    queue = shown[:0]
    while True:
        while len(queue) < BATCH:
            queue = torch.cat([queue, shown[torch.randperm(len(shown), generator=rng, device=rng.device)]])
        yield queue[:BATCH]
        queue = queue[BATCH:]


@torch.no_grad()
def retrieval(model: Any, data: Data, index: Tensor) -> str:
    """How often a drawing's own caption, of those of ``index``, is the nearest, and among the five nearest."""
    model.eval()
    pixels = normalised(augment.plain(data.drawings[index]))
    images = torch.cat([model.encode_image(part, normalize=True) for part in pixels.split(64)])
    texts = model.encode_text(data.tokens[0, data.caption_rows[index]], normalize=True)
    order = (images @ texts.T).argsort(1, descending=True)
    place = (order == torch.arange(len(index), device=order.device)[:, None]).int().argmax(1)
    first, five = ((place < k).float().mean().item() for k in (1, 5))
    return f"of {len(index)} kept back: own caption first {first:.3f}, in five {five:.3f}"


def save(model: Any, vocabulary: int, path: Path) -> None:
    """The weights in fp16, as they are shipped, under another name until they are whole."""
    from safetensors.torch import save_file

    temporary = path.with_suffix(".partial")
    state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    half = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(half, temporary, metadata={"vocabulary": str(vocabulary)})
    temporary.chmod(0o644)
    temporary.replace(path)


def schedule(done: float) -> float:
    """Warm-up over 3 %, then half a cosine."""
    return min(done / 0.03 + 0.01, 0.5 * (1 + math.cos(math.pi * min(1.0, done))) + 0.005)


def train(work: Path, images: int, device: str, seed: int, validate: bool) -> None:
    """Train on ``images`` pictures and write ``model.safetensors`` into ``work``."""
    be_deterministic(seed)
    arrays = dict(np.load(work / "data.npz", allow_pickle=False))
    vocabulary = int(arrays["vocabulary"])
    data = load(arrays, device, validate)
    model: Any = new_model(vocabulary)
    load_tower(model, arrays)
    model.to(device)
    if validate:
        print("before training,", retrieval(model, data, data.kept), flush=True)
    rng = torch.Generator(device=device).manual_seed(seed)
    adam, source, start = optimiser(model), batches(data.shown, rng), time.monotonic()
    steps = max(1, images // BATCH)
    for step in range(steps):
        model.train()
        model.visual.trunk.eval()  # ImageNet's batch statistics stay
        for group in adam.param_groups:
            group["lr"] = group["peak"] * schedule(step / steps)
        text, image = text_loss(model, data, rng), image_loss(model, data, next(source), rng)
        adam.zero_grad()
        (text + image).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if step % max(1, steps // 40) == 0 or step == steps - 1:
            rate = (step + 1) * BATCH / (time.monotonic() - start)
            line = f"{(step + 1) / steps:6.1%} text {text.item():.4f} image {image.item():.4f} {rate:.0f} images/s"
            print(line, retrieval(model, data, data.kept) if validate else "", flush=True)
    save(model, vocabulary, work / "model.safetensors")
