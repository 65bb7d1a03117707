"""MEMO: facts keep their items apart, and an answer takes as many looks as it needs.

B episodes   N facts of S items of d channels, D = S d   H heads   t hops
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class Thought(NamedTuple):
    """What MEMO thinks of a question hop by hop: answers (B, T, d), weights (B, T, N), and the chances to stop (B, T)."""

    answers: Tensor
    weights: Tensor
    stops: Tensor


@register(
    "memo",
    papers=(Paper("MEMO: A Deep Network for Flexible Combination of Episodic Memories", "2001.10913"),),
    task="slot-readers",
    baselines=("memory-network",),
)
class Memo(nn.Module):  # type: ignore[misc]
    """Answers over facts whose items stay separate, in a number of hops that a policy chooses (arXiv 2001.10913).

    Keys and values are linear maps of all items of a fact, one for each head; a hop is multi-head attention of the
    question on them, a residual, a layer norm and an MLP. A GRU watches the Bhattacharyya distance of successive
    attention maps and gives the chance to stop; `loss` trains it by REINFORCE with a price a hop. A hop costs O(B N H
    d). Departures: the question is one item and the answer is one; a moving mean of rewards is the baseline of
    REINFORCE; maps begin as those of one code of items, see `spread`.
    """

    def __init__(
        self,
        width: int,  # D, channels of a fact
        items: int = 2,  # S
        heads: int = 4,  # H
        hops: int = 6,  # at most
        price: float = 0.02,  # of a hop, in rewards of a right answer
    ) -> None:
        super().__init__()
        if width < 1 or items < 1 or width % items or heads < 1 or hops < 1:
            raise InvalidInput(
                f"width is {width}, items {items}, heads {heads}, hops {hops}: width has to be a multiple of items."
            )
        self.width, self.item, self.heads, self.hops, self.price = width, width // items, heads, hops, price
        d = self.item
        self.to_q, self.to_k, self.to_v = (
            nn.Linear(d, heads * d),
            nn.Linear(width, heads * d),
            nn.Linear(width, heads * d),
        )
        self.join, self.norm = nn.Linear(heads * d, d), nn.LayerNorm(d)
        self.think = nn.Sequential(nn.Linear(2 * d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.out = nn.Linear(d, d)
        self.watch, self.halt = nn.GRUCell(2, 16), nn.Linear(16, 1)
        self.spread()
        nn.init.constant_(self.halt.bias, -2.0)  # a policy that stops at once never learns what a further hop is worth
        self.sharp = nn.Parameter(torch.tensor(2.0))  # higher, attention begins on single facts, and learns nothing
        self.register_buffer("usual", torch.tensor(0.5))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def spread(self) -> None:
        """Let a hop begin as a look at the facts of an item, and read their items: one map for items, and its inverse.

        From maps that know nothing of each other attention never gets off its flat start in thousands of steps.
        """
        for item in range(self.width // self.item):
            own = slice(item * self.item, (item + 1) * self.item)
            self.to_k.weight[:, own] = self.to_q.weight
            self.to_v.weight[:, own] = self.to_q.weight
        for layer in (self.to_q, self.to_k, self.to_v, self.join, self.out):
            nn.init.zeros_(layer.bias)
        self.join.weight.copy_(torch.linalg.pinv(self.to_q.weight))
        nn.init.eye_(self.out.weight)
        self.think[2].weight.mul_(0.1)

    def thought(self, facts: Tensor, question: Tensor, mask: Tensor | None = None) -> Thought:
        """Return all hops over facts (B, N, D) for a question (B, d)."""
        if facts.dim() != 3 or facts.shape[2] != self.width or question.shape != (len(facts), self.item):
            raise InvalidInput(
                f"facts {tuple(facts.shape)} and question {tuple(question.shape)} do not fit: "
                f"give (B, N, {self.width}) and (B, {self.item})."
            )
        split = (len(facts), -1, self.heads, self.item)
        keys, values = self.to_k(facts).view(split), self.to_v(facts).view(split)
        q, h = question, question.new_zeros(len(facts), 16)
        before = torch.full(facts.shape[:2], 1 / facts.shape[1], dtype=facts.dtype, device=facts.device)
        answers, weights, stops = [], [], []
        for hop in range(self.hops):
            asked = nn.functional.normalize(self.to_q(q).view(len(facts), self.heads, self.item), dim=-1)
            scores = (
                self.sharp.exp().clamp_max(100)
                / 2
                * torch.einsum("bhd,bnhd->bhn", asked, nn.functional.normalize(keys, dim=-1))
            )
            if mask is not None:
                scores = scores.masked_fill(~mask[:, None], float("-inf"))
            p = scores.softmax(-1)
            read = self.join(torch.einsum("bhn,bnhd->bhd", p, values).flatten(1))
            q = self.norm(q + read + self.think(torch.cat([q, read], -1)))
            mean = p.mean(1)
            apart = 1 - (mean * before).clamp_min(1e-9).sqrt().sum(-1)  # Bhattacharyya
            h = self.watch(torch.stack([apart.detach(), torch.full_like(apart, hop / self.hops)], -1), h)
            answers.append(self.out(q))
            weights.append(mean)
            stops.append(self.halt(h).sigmoid()[:, 0])
            before = mean
        return Thought(torch.stack(answers, 1), torch.stack(weights, 1), torch.stack(stops, 1))

    def forward(self, facts: Tensor, question: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the answers (B, d) where the policy stops, and the weights of the facts at all hops, (B, T, N)."""
        thought = self.thought(facts, question, mask)
        at = self.stopped(thought.stops)
        return thought.answers[torch.arange(len(at)), at], thought.weights

    def stopped(self, stops: Tensor) -> Tensor:
        """Return the hop (B) at which each question ends: the first whose chance to stop is above a half, or the last."""
        ends = stops > 0.5
        ends[:, -1] = True
        return ends.int().argmax(1)

    def loss(self, thought: Thought, right: Tensor, losses: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the loss of hops drawn from the policy, and that of the policy.

        `right` (B, T) says whether the answer of each hop is right, `losses` (B, T) what it is worth to the network.
        """
        chance = thought.stops.clamp(0.02, 0.98)
        drawn = torch.rand(chance.shape, generator=generator) < chance
        drawn[:, -1] = True
        at = drawn.int().argmax(1)
        row = torch.arange(len(at))
        before = torch.arange(chance.shape[1])[None] < at[:, None]
        logp = (torch.log1p(-chance) * before).sum(1) + torch.where(
            at < chance.shape[1] - 1, chance[row, at].log(), 0.0
        )
        reward = right[row, at].float() - self.price * at
        self.usual.lerp_(reward.mean().detach(), 0.05)
        policy = -((reward - self.usual).detach() * logp).mean()
        return losses[row, at].mean() + losses[:, -1].mean() + policy
