"""Train both towers into the teacher's space; each alone, since that space is fixed.

Text tower: the vector of a phrase, bare or in a template, is the teacher's (distillation). Image tower: among the
captions of all drawings, a picture is nearest to its own caption's teacher vector (contrastive, Radford et al. 2021).
Its lower stages stay as ImageNet made them: see ``views``. Needs torch, numpy, safetensors, open_clip and the prepared
``.npz`` alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip import steps, views
from clip.model import encode_short, load_tower, new_model, trained_part, upper

BATCH = 128
PHRASES = 384
TRUNK_RATE, HEAD_RATE, TEXT_RATE = 1e-4, 5e-4, 1e-3
MEANING = 0.3
SCALE, SOFT = 25.0, 0.07


class Data(NamedTuple):
    """What was prepared, on the device; ``shown`` lists the drawings that are trained on, ``kept`` the others."""

    drawings: Tensor
    caption_rows: Tensor
    tokens: Tensor
    vectors: Tensor
    shown: Tensor
    kept: Tensor

    def captions(self, index: Tensor) -> Tensor:
        """The teacher's vectors of the captions of some drawings: [n, WIDTH]."""
        return self.vectors[self.caption_rows[index]]


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
    got = functional.normalize(encode_short(model, data.tokens[form, rows]), dim=1)
    return 1 - (got * data.vectors[rows]).sum(1).mean()


def image_loss(visual: Any, data: Data, maps: Tensor, chosen: Tensor) -> Tensor:
    """Contrastive over all captions, with targets softened by how alike they are; plus the cosine itself."""
    got = functional.normalize(upper(visual, maps), dim=1)
    wanted, every = data.captions(chosen), data.captions(data.shown)
    likeness = ((wanted @ every.T) / SOFT).softmax(1)
    contrast = functional.cross_entropy(SCALE * got @ every.T, likeness)
    return contrast + MEANING * (1 - (got * wanted).sum(1).mean())


def drawn_maps(seen: list[np.ndarray], chosen: Tensor, rng: torch.Generator) -> Tensor:
    """Maps of one augmented view of each chosen drawing, mirrored for half of them."""
    number = torch.randint(1, len(seen), (len(chosen),), generator=rng)  # 0 is the plain view
    rows = [seen[int(view)][int(row)] for view, row in zip(number, chosen, strict=True)]
    maps = torch.from_numpy(np.stack(rows)).float()
    mirrored = torch.rand(len(chosen), generator=rng) < 0.5
    return torch.where(mirrored[:, None, None, None], maps.flip(3), maps)


@torch.no_grad()
def retrieval(visual: Any, data: Data, plain: np.ndarray) -> str:
    """How often a kept drawing's own caption, of those of all kept ones, is the nearest, and among the five nearest."""
    if not len(data.kept):
        return ""
    maps = torch.from_numpy(plain[data.kept.cpu().numpy()]).float().to(data.kept.device)
    images = functional.normalize(upper(visual, maps), dim=1)
    order = (images @ data.captions(data.kept).T).argsort(1, descending=True)
    own = torch.arange(len(data.kept), device=order.device)[:, None]
    place = (order == own).int().argmax(1)
    first, five = ((place < k).float().mean().item() for k in (1, 5))
    return f"of {len(data.kept)} kept back: own caption first {first:.3f}, in five {five:.3f}"


def save(state: dict[str, Tensor], vocabulary: int, path: Path) -> None:
    """A tower in fp16, as it is shipped, under another name until it is whole."""
    from safetensors.torch import save_file

    temporary = path.with_suffix(".partial")
    half = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    save_file(half, temporary, metadata={"vocabulary": str(vocabulary)})
    temporary.chmod(0o644)
    temporary.replace(path)


class Tower(NamedTuple):
    """What the training of a tower starts from."""

    work: Path
    model: Any
    data: Data
    vocabulary: int
    key: str
    seed: int

    def checkpoint(self, name: str, module: Any, groups: Any) -> steps.Checkpoint:
        """Of the tower ``name``."""
        return steps.Checkpoint(self.work / f"{name}.pt", self.key, module, steps.optimiser(groups))


def start(work: Path, device: str, seed: int, validate: bool, budget: int) -> Tower:
    """Networks at their first weights, and the data."""
    steps.be_deterministic(seed)
    path = work / "data.npz"
    arrays = dict(np.load(path, allow_pickle=False))
    vocabulary = int(arrays["vocabulary"])
    model: Any = new_model(vocabulary)
    load_tower(model, arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    key = f"{digest} seed {seed} validate {validate} budget {budget} on {device}"
    return Tower(work, model.to(device), load(arrays, device, validate), vocabulary, key, seed)


def train_text(tower: Tower, phrases: int) -> None:
    """The text tower on ``phrases`` phrases; writes ``text.safetensors``."""
    model = tower.model
    visual, model.visual = model.visual, torch.nn.Identity()  # of no part in this, nor in the checkpoint
    groups = [([p for name, p in model.named_parameters() if name != "logit_scale"], TEXT_RATE)]
    device = tower.data.tokens.device
    steps.run(
        max(1, phrases // PHRASES),
        tower.checkpoint("text", model, groups),
        lambda step: text_loss(model, tower.data, steps.draws(tower.seed, step, device)),
    )
    save(model.state_dict(), tower.vocabulary, tower.work / "text.safetensors")
    model.visual = visual


def train_image(tower: Tower, images: int) -> None:
    """The image tower on ``images`` views; writes ``image.safetensors``."""
    visual, data, seed = tower.model.visual, tower.data, tower.seed
    seen = views.make(tower.work / f"views-{tower.key[:12]}-{seed}", visual, data.drawings, seed)
    visual.requires_grad_(False).eval()  # ImageNet's batch statistics stay
    old, new = trained_part(visual)
    for parameter in (*old, *new):
        parameter.requires_grad_(True)

    def loss(step: int) -> Tensor:
        chosen = data.shown.cpu()[steps.shuffled(step, BATCH, len(data.shown), seed)]
        maps = drawn_maps(seen, chosen, steps.draws(seed, step))
        return image_loss(visual, data, maps.to(data.vectors.device), chosen.to(data.vectors.device))

    print("before training", retrieval(visual, data, seen[0]), flush=True)
    checkpoint = tower.checkpoint("image", visual, [(old, TRUNK_RATE), (new, HEAD_RATE)])
    steps.run(max(1, images // BATCH), checkpoint, loss, lambda: retrieval(visual, data, seen[0]))
    state = {f"visual.{name}": tensor for name, tensor in visual.state_dict().items()}
    save(state, tower.vocabulary, tower.work / "image.safetensors")


def train(work: Path, tower: str, budget: int, device: str, seed: int, validate: bool) -> None:
    """Train the tower ``text`` or ``image`` on ``budget`` phrases or views."""
    found = start(work, device, seed, validate, budget)
    {"text": train_text, "image": train_image}[tower](found, budget)
