"""EM-LLM: the past in events, cut where the text surprised; an event is fetched with its neighbours in time.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.recall.base import Placement
from mnemos.activation.recall.blocks import Blocks, attention_share
from mnemos.activation.recall.events import Metric, lengths, refined, similarity, surprising
from mnemos.activation.recall.infllm import mean_logit, representatives
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "em-llm",
    papers=(Paper("Human-like Episodic Memory for Infinite Context LLMs", "2407.09450", code="em-llm/EM-LLM-model"),),
)
@dataclass(frozen=True)
class EMLLM(Blocks):
    """Cuts events instead of blocks, where a token surprises, and fetches them with their neighbours in time.

    An event begins where -log p > mean + `gamma` · standard deviation of the last `past` tokens' surprise (§3.2); each
    boundary then moves back to where `refine` of the keys' similarity graph is best (§3.3). Of the `top` events of a
    call, a share is a queue of the neighbours of what was fetched lately, the rest are the most similar by InfLLM's
    representatives (§3.4). The surprise of a text is known after it was read: read prompts with `read(..., chunk=...)`,
    chunks within `step`.

    Deviations: an edge of a graph is the cosine of two keys at position 0, at least 0, over the heads of each layer by
    itself; rows of a batch are cut together, where one of them begins an event; generated tokens are cut like others.
    On the small model of `mnemos bench train-models` events begin at true shifts more than twice as often as blocks,
    and answer more than InfLLM's blocks; neighbours change little there, since each token finds its own follower.
    """

    far: Placement = "one"  # where fetched blocks stand
    size: int = 128  # the most tokens of an event
    smallest: int = 8  # the fewest tokens of an event
    gamma: float = 1.0  # standard deviations above the mean at which a token surprises
    past: int = 512  # tokens whose surprise is the measure
    refine: Metric = "modularity"  # what the graph's best boundary is; "none" leaves boundaries where they are
    contiguity: float = 0.3  # share of the events of a call that are neighbours in time
    representatives: int = 4  # keys that stand for an event
    worth: Literal["mean", "mass"] = "mean"  # what an event is worth: as in InfLLM (the paper), or as in `Blocks.score`

    needs_tokens: ClassVar[bool] = True
    uses_attention: ClassVar[bool] = True

    @property
    def queue(self) -> int:
        """Events of a call that are neighbours in time."""
        return round(self.contiguity * self.top)

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the events that have ended, for each row."""
        count = keys.shape[2]
        surprise = setup.transcript().surprise
        assert surprise is not None
        surprise = surprise[:, : first + count]
        if count and bool(surprise[:, max(first, 1) :].isnan().any()):
            raise InvalidInput(
                "EM-LLM cuts a text by its surprise, which is known once the model has read it: read the prompt with "
                f"read(model, ids, cache, chunk={self.step})."
            )
        shifts = surprising(surprise, self.gamma, self.past)[:, first:]
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

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys that received most attention, and which exist."""
        return representatives(keys, attended, self.representatives)

    def score(self, logits: Tensor) -> Tensor:
        """Return what events are worth to each head, (B, H, N)."""
        return attention_share(logits) if self.worth == "mass" else mean_logit(logits)

    def choose(self, worth: Tensor, memory: dict[str, Any]) -> Tensor:
        """Return the most similar events, and the neighbours of what was fetched lately, (B, U, k)."""
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
