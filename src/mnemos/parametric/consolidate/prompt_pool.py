"""Keyed prompts before a frozen backbone: what an input resembles decides which prompts it is read with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.frozen import Backbone, backbone_of
from mnemos.registry import Paper, register


class Pool(nn.Module):  # type: ignore[misc]
    """Prompts P (M, depth, L, D), keys K (M, D), and what each looks at, A (M, D)."""

    def __init__(self, count: int, depth: int, length: int, width: int, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.rand(shape, generator=generator) * 2 - 1)

        self.prompts, self.keys = drawn(count, depth, length, width), drawn(count, width)
        self.looks = nn.Parameter(torch.ones(count, width))


class Prompted(nn.Module):  # type: ignore[misc]
    """A frozen backbone that is read with the prompts of its pools."""

    def __init__(self, backbone: Backbone, knobs: PromptPool) -> None:
        super().__init__()
        self.backbone, self.knobs = cast(nn.Module, backbone), knobs
        self.pools = nn.ModuleList()
        self.apart = torch.zeros(())  # of the last pass: mean of 1 - cos(query, chosen key)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of x."""
        backbone = cast(Backbone, self.backbone)
        with torch.no_grad():
            query = backbone.encode(x)
        shares, self.apart = self.choose(query)
        said: Tensor = backbone.head(backbone.encode(x, self.combine(shares)))
        return said

    def choose(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each prompt counts (N, M) for queries (N, D), and how far the chosen keys are."""
        keys = torch.cat([pool.keys for pool in self._all])
        if self.knobs.select == "soft":
            looks = torch.cat([pool.looks for pool in self._all])
            alike = F.cosine_similarity(query[:, None] * looks, keys, dim=-1)
            return alike, torch.zeros(())
        alike = F.cosine_similarity(query[:, None], keys, dim=-1)
        best = alike.topk(min(self.knobs.chosen, alike.shape[1]), dim=1)
        return torch.zeros_like(alike).scatter(1, best.indices, 1.0), (1 - best.values).sum(1).mean()

    def combine(self, shares: Tensor) -> Tensor:
        """Return prompts (N, depth, L, D): the weighted sum (soft), or the chosen ones one after the other (hard)."""
        prompts = torch.cat([pool.prompts for pool in self._all])
        if self.knobs.select == "soft":
            return torch.einsum("nm,mbld->nbld", shares, prompts)
        places = shares.topk(int(shares[0].sum()), dim=1).indices
        return prompts[places].transpose(1, 2).flatten(2, 3)

    def crossed(self) -> Tensor:
        """Return how far prompts, keys and what they look at are from being orthogonal: sum of mean (B B^T - I)^2."""
        far = torch.zeros(())
        for name in ("prompts", "keys", "looks"):
            b = torch.cat([getattr(pool, name) for pool in self._all]).flatten(1)
            far = far + (b @ b.T - torch.eye(len(b))).square().mean()
        return far

    @property
    def _all(self) -> list[Pool]:
        return cast(list[Pool], list(self.pools))


@register(
    "prompt-pool",
    papers=(
        Paper("Learning to Prompt for Continual Learning", "2112.08654"),
        Paper("CODA-Prompt: COntinual Decomposed Attention-based Prompting for Rehearsal-Free Continual Learning", "2211.13218"),
        Paper("Prompt-augmented Temporal Point Process for Streaming Event Sequence", "2310.04993"),
    ),
    task="classes in sequence",
    baselines=("plain",)
)  # fmt: skip
@dataclass
class PromptPool(Strategy):
    """Trains keyed prompts and a head alone; the backbone's own reading of an input chooses among the prompts. Stores no samples.

    `hard` puts the prompts of the nearest keys before the input and pulls these keys nearer (L2P). `soft` sums all prompts,
    each by the cosine of its key and the query times what it looks at; `grows` gives every task prompts of its own and freezes
    the earlier ones, and `apart` keeps all orthogonal (CODA-Prompt). The model is a `Backbone`. Prompts are read as more
    positions by the attention of every block; in L2P they stand before the first block's input.
    """

    select: Literal["hard", "soft"] = "hard"  # how prompts are chosen
    size: int = 10  # prompts of the pool; of each task if it grows (M)
    chosen: int = 3  # prompts that an input is read with, of "hard" (N)
    length: int = 2  # positions of a prompt (L)
    pull: float = 0.5  # weight of the distance of chosen keys (lambda), of "hard"
    grows: bool = False  # new prompts for every task
    apart: float = 0.0  # weight of what is not orthogonal
    model: Prompted | None = field(init=False, repr=False, default=None)

    alone: ClassVar[str] = "pool before a backbone"

    def __post_init__(self) -> None:
        if min(self.size, self.chosen, self.length) < 1:
            raise InvalidInput("size, chosen and length are numbers of prompts and positions: give at least 1.")

    def before_task(self, learning: Learning) -> None:
        """Put prompts before the model, once; more for every task, if it grows."""
        self._begin(learning)
        learning.rebuild()

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what chosen keys, and prompts that are not orthogonal, cost."""
        assert self.model is not None
        if self.select == "hard" and self.pull:
            step.logits()  # chooses
            return self.pull * self.model.apart
        return self.apart * self.model.crossed() if self.apart else None

    def tensors(self) -> dict[str, Tensor]:
        """Return how many pools there are; their content is in the model."""
        return {} if self.model is None else {"pools": torch.tensor(len(self.model.pools))}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same room again; the model's weights are loaded after that."""
        if self.model is not None:
            learning.model, self.model = self.model.backbone, None
        for _ in range(int(tensors.get("pools", torch.tensor(0)))):
            self._begin(learning)

    @property
    def nbytes(self) -> int:
        """Bytes of the prompts and keys."""
        return 0 if self.model is None else sum(p.numel() * p.element_size() for p in self.model.pools.parameters())

    def _begin(self, learning: Learning) -> None:
        if self.model is None:
            self.model = Prompted(backbone_of(learning.model), self)
            learning.model = self.model
        if self.grows or not len(self.model.pools):
            base = cast(Backbone, self.model.backbone)
            self.model.pools.requires_grad_(False)
            self.model.pools.append(Pool(self.size, base.depth, self.length, base.width, learning.generator))
