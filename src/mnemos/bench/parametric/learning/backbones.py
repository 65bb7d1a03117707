"""A small transformer over the rows of an image, trained in seconds: what prompts and adapters ride on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.parametric.learning.streams import Images, Labelled, turned
from mnemos.parametric.consolidate.frozen import Adapt


class Block(nn.Module):  # type: ignore[misc]
    """Attention and two layers over h (N, T, D), normalised before each; prompts (N, L, D) are more positions to attend to."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.both, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, prompts: Tensor | None, causal: bool) -> Tensor:
        """Return h (N, T, D) after the block."""
        normal = self.first(h)
        read = normal if prompts is None else torch.cat([prompts, normal], 1)
        k, v = (self._split(t) for t in self.both(read).chunk(2, -1))
        mask = None
        if causal:
            mask = torch.ones(h.shape[1], read.shape[1], dtype=torch.bool).tril(read.shape[1] - h.shape[1])
        mixed = F.scaled_dot_product_attention(self._split(self.query(normal)), k, v, attn_mask=mask)
        h = h + self.out(mixed.transpose(1, 2).flatten(2))
        made: Tensor = h + self.layers(self.second(h))
        return made

    def _split(self, t: Tensor) -> Tensor:
        return t.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Rows(nn.Module):  # type: ignore[misc]
    """Reads x (N, positions * numbers), or (N, positions, numbers), position by position; features are the mean, or the last."""

    def __init__(
        self, positions: int, numbers: int, classes: int, width: int = 32, depth: int = 2, heads: int = 2, causal: bool = False
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.depth, self.positions, self.causal = width, depth, positions, causal
        self.embed = nn.Linear(numbers, width)
        self.places = nn.Parameter(torch.randn(positions, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head: nn.Module = nn.Linear(width, classes)

    def encode(self, x: Tensor, prompts: Tensor | None = None, adapt: Adapt | None = None) -> Tensor:
        """Return features (N, D)."""
        h = self.embed(x.view(len(x), self.positions, -1)) + self.places
        for number, block in enumerate(self.blocks):
            after = block(h, None if prompts is None else prompts[:, number], self.causal)
            h = after if adapt is None else after + adapt(number, h)
        normal: Tensor = self.norm(h)
        return normal[:, -1] if self.causal else normal.mean(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the head says of x."""
        said: Tensor = self.head(self.encode(x))
        return said


def turned_digits(images: Images, angles: tuple[float, ...] = (90.0, 270.0)) -> Labelled:
    """Return images turned by some angles, each image and angle a class of its own: what a backbone is trained on beforehand."""
    parts = [turned(images.train, images.side, angle) for angle in angles]
    labels = [part.y + number * images.classes for number, part in enumerate(parts)]
    return Labelled(torch.cat([part.x for part in parts]), torch.cat(labels))


def trained(part: Labelled, side: int, seed: int, steps: int = 1500, batch: int = 64, classes: int = 10) -> Rows:
    """Return a backbone that was trained on labelled images, with a new head over `classes`."""
    torch.manual_seed(seed)
    model = Rows(side, side, int(part.y.max()) + 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(part.y), (batch,))
        optimiser.zero_grad()
        F.cross_entropy(model(part.x[rows]), part.y[rows]).backward()
        optimiser.step()
    model.head = nn.Linear(model.width, classes)
    return model
