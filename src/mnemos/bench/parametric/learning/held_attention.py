"""A small transformer that was pretrained, then classes in turn without a buffer: what to hold, and where.

The transformer reads a 14 x 14 digit as 49 patches of 2 x 2 (two layers, width 32, four heads). It is pretrained on the digits
0 to 3, then learns 4 and 5, 6 and 7, 8 and 9, the softmax over the labels of the batch. Accuracy is that on the six digits
learned in turn. Strengths are chosen on a seed that is not reported, with as wide a search for every row.
"""

from __future__ import annotations

import copy
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life
from mnemos.bench.parametric.learning.streams import Images, digits, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.feature_distillation import FeatureDistillation

SIDE, PATCH, WIDTH, HEADS, LAYERS, CLASSES = 14, 2, 32, 4, 2, 10


class Reader(nn.Module):  # type: ignore[misc]
    """A transformer over patches of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Linear(PATCH**2, WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn((SIDE // PATCH) ** 2, WIDTH))
        self.attn = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(LAYERS))
        self.attn_out = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH)) for _ in range(LAYERS)
        )
        self.classes = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, side^2)."""
        count = SIDE // PATCH
        grid = x.view(-1, count, PATCH, count, PATCH).transpose(2, 3).reshape(-1, count**2, PATCH**2)
        h = self.patches(grid) + self.places
        for mixed, out, mlp in zip(self.attn, self.attn_out, self.mlp, strict=True):
            q, k, v = (
                part.view(len(x), -1, HEADS, WIDTH // HEADS).transpose(1, 2)
                for part in mixed(F.layer_norm(h, (WIDTH,))).chunk(3, -1)
            )
            h = h + out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(h.shape))
            h = h + mlp(F.layer_norm(h, (WIDTH,)))
        logits: Tensor = self.classes(F.layer_norm(h, (WIDTH,)).mean(1))
        return logits


def pretrained(images: Images, seed: int, steps: int = 600) -> Reader:
    """Return a reader that tells the digits 0 to 3 apart."""
    torch.manual_seed(seed)
    model, task = Reader(), split(images, 4)[0].train
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randint(len(task.y), (32,))
        optimiser.zero_grad()
        F.cross_entropy(model(task.x[rows])[:, :4], task.y[rows]).backward()
        optimiser.step()
    return model


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each thing that is held."""
    images = digits(options.data, side=SIDE).fewer(train=400, test=100)
    begun = cache(partial(pretrained, images))
    setting = Setting(
        lambda _: split(images)[2:], lambda seed: copy.deepcopy(begun(seed)), Life(batch=16, epochs=2),
        {"rivals": "batch"}, optimiser=torch.optim.SGD,
    )  # fmt: skip
    weights, outputs = (0.01, 0.1, 1.0, 10.0), (0.1, 1.0, 10.0)
    rates = (0.03, 0.1)
    trials = {
        "plain": Trial(rates=rates),
        "all weights (L2)": Trial(lambda s: Anchor(s, "equal"), weights, rates),
        "attention alone (L2)": Trial(lambda s: Anchor(s, "equal", only="attn"), weights, rates),
        "Fisher information (EWC)": Trial(
            lambda s: Anchor(s, fisher="empirical", samples=100), tuple(100 * w for w in weights), rates
        ),
        "logits (LwF)": Trial(Distillation, outputs, rates),
        "features": Trial(FeatureDistillation, outputs, rates),
    }
    return beside(setting, trials, options.seeds)
