"""EM-LLM: the past in events, cut where the text surprised; an event is fetched with what came before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mnemos.activation.method import Setup
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.blockstore import lengths
from mnemos.activation.recall.infllm import InfLLM
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Metric = Literal["modularity", "conductance", "none"]


@register("em-llm", papers=(Paper("Human-like Episodic Memory for Infinite Context LLMs", "2407.09450"),))
@dataclass(frozen=True)
class EMLLM(InfLLM):
    """Events instead of blocks: cut where a token surprises, fetched with their neighbours in time.

    An event begins where -log p > mean + `gamma` · standard deviation of the last `past` tokens' surprise (§3.2); each
    boundary then moves back to where `refine` of the keys' similarity graph is best (§3.3). Events have `smallest` to
    `size` tokens. Of the `top` events of a call, `contiguity` are a queue of the neighbours of what was fetched lately,
    the rest the most similar (§3.4). `worth` "mean" is InfLLM's and the paper's, "mass" that of `Blocks.score`.

    The surprise of a text is known after it was read: read prompts with `read(..., chunk=...)`, chunks within `step`.
    Departures: a graph's edge is the cosine of two keys at position 0, at least 0, over the heads of each layer by
    itself; rows of a batch are cut together, where one of them begins an event. Generated tokens are cut like others.

    On the small model of `mnemos bench train-models` events begin at true shifts more than twice as often as blocks, and
    answer more than InfLLM's blocks; neighbours change little there, since each token finds its own follower.
    """

    size: int = 128
    smallest: int = 8
    gamma: float = 1.0
    past: int = 512
    refine: Metric = "modularity"
    contiguity: float = 0.3
    worth: Literal["mean", "mass"] = "mean"

    needs_tokens = True

    @property
    def queue(self) -> int:
        """Events of a call that are neighbours in time."""
        return round(self.contiguity * self.top)

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the events that are over, for each row."""
        count = keys.shape[2]
        told = setup.transcript().surprise[:, : first + count]
        if count and bool(told[:, max(first, 1) :].isnan().any()):
            raise InvalidInput(
                "EM-LLM cuts a text by its surprise, which is known once the model has read it: read the prompt with "
                f"read(model, ids, cache, chunk={self.step})."
            )
        shifts = surprising(told, self.gamma, self.past)[:, first:]
        keys = setup.rotary().shift(
            keys, -torch.arange(first, first + count, device=keys.device).expand(keys.shape[:3])
        )
        rows = []
        for row in range(keys.shape[0]):
            begins = [0, *(t for t in shifts[row].nonzero()[:, 0].tolist() if t), count]
            if self.refine != "none" and len(begins) > 2:
                begins = refined(similarity(keys[row]), begins, self.refine)
            rows.append(self._spaced(begins))
        end = min(row[-1] for row in rows)
        if end == 0 and count >= self.size:
            end = self.size
        return [lengths([b for b in row if b < end] + [end], self.size) if end else [] for row in rows]

    def _spaced(self, begins: list[int]) -> list[int]:
        """Drop boundaries that would leave too short an event; the last one given is the end of what is known."""
        kept = [0]
        for begin in begins[1:-1]:
            if begin - kept[-1] >= self.smallest:
                kept.append(begin)
        return kept

    def score(self, logits: Tensor) -> Tensor:
        """Return what events are worth."""
        return Blocks.score(self, logits) if self.worth == "mass" else super().score(logits)

    def choose(self, worth: Tensor, memory: dict[str, Any]) -> Tensor:
        """Return the most similar events, and those next to what was fetched lately."""
        best = worth.topk(min(self.top - self.queue, worth.shape[2]), dim=2)
        similar = best.indices.masked_fill(best.values == float("-inf"), -1)
        if not self.queue:
            return similar
        queue = memory.get("queue", similar.new_full((*similar.shape[:2], self.queue), -1))
        last = (worth > float("-inf")).sum(2) - 1
        found = torch.full_like(queue, -1)
        for row in range(queue.shape[0]):
            for unit in range(queue.shape[1]):
                events = similar[row, unit].tolist()
                near = [e + by for e in events if e >= 0 for by in (1, -1)]
                near = [e for e in near if 0 <= e <= int(last[row, unit])] + queue[row, unit].tolist()
                fresh = [e for e in dict.fromkeys(near) if e >= 0 and e not in events][: self.queue]
                found[row, unit, : len(fresh)] = torch.tensor(fresh, dtype=found.dtype, device=found.device)
        memory["queue"] = found
        return torch.cat((similar, found), 2)


def surprising(told: Tensor, gamma: float, past: int) -> Tensor:
    """Return where surprise (B, T) is above mean + gamma · deviation of the up to `past` tokens before; NaN never is."""
    known = ~told.isnan()
    value = told.nan_to_num(0.0).double()
    sums = [torch.nn.functional.pad(x.cumsum(1), (1, 0)) for x in (known.double(), value, value**2)]
    end = torch.arange(told.shape[1], device=told.device)
    count, total, square = (s[:, end] - s[:, (end - past).clamp(min=0)] for s in sums)
    mean = total / count.clamp(min=1)
    deviation = (square / count.clamp(min=1) - mean**2).clamp(min=0).sqrt()
    return known & (count > 1) & (value > mean + gamma * deviation)


def similarity(keys: Tensor) -> Tensor:
    """Return the graph of keys (H, T, D): the cosine of each two, at least 0, averaged over heads, (T, T)."""
    units = normalize(keys.float(), dim=-1)
    return (units @ units.transpose(1, 2)).mean(0).clamp(min=0)


def refined(graph: Tensor, begins: list[int], metric: Metric) -> list[int]:
    """Return the boundaries (0, …, T) with each inner one moved back to where the two events beside it are parted best.

    Algorithm 1: boundary β after α becomes the best β' in (α, β], in the graph of the tokens from α to the boundary
    after β.
    """
    new = list(begins)
    for i in range(1, len(begins) - 1):
        alpha, beta, end = new[i - 1], begins[i], begins[i + 1]
        part = graph[alpha:end, alpha:end]
        sums = torch.nn.functional.pad(part.cumsum(0).cumsum(1), (1, 0, 1, 0))
        at = torch.arange(1, beta - alpha + 1)
        inside, all_of = sums[at, at], sums[-1, -1]
        across = sums[at, -1] - inside
        outside = all_of - inside - 2 * across
        left, right = inside + across, outside + across
        if metric == "modularity":  # (1/2m) Σ (A_ij - k_i k_j / 2m) over pairs in one event, 2m the sum of A
            worth = (inside + outside) / all_of - (left**2 + right**2) / all_of**2
        else:  # conductance: the weight of the cut by the smaller volume, the less the better
            worth = -across / torch.minimum(left, right).clamp(min=1e-9)
        new[i] = alpha + 1 + int(worth.argmax())
    return new
