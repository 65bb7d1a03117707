"""Attendre: queries wait in a memory, so that what comes later can answer them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.activation.forget.lra import ATTENDRE
from mnemos.errors import InvalidInput
from mnemos.registry import register


@register("attendre", papers=(ATTENDRE,))
class Attendre(nn.Module):  # type: ignore[misc]
    """Attends to a bounded memory of keys and values, by queries that wait in a memory of their own.

    A text comes in chunks. The keys and values of a chunk enter the K/V memory, its queries the end of the Q memory;
    the queries that this pushes out attend to what the K/V memory then holds: entries from up to `delay` tokens after
    their own. With `delay` 0 a query sees its own chunk and what came before. Then the K/V memory is cut to `memory`
    entries: "fifo" evicts the oldest, "lfa" those with the least attention so far, "lra" those whose last noticeable
    attention (above the uniform share) is longest ago.

    One head and no positions, so B rows, T tokens and `width` channels say all. It is a layer to build and train models
    with, not a cache for models that were trained otherwise. Raises InvalidInput for sizes that hold nothing.
    """

    def __init__(
        self,
        width: int,  # channels
        memory: int,  # entries of the K/V memory
        delay: int = 0,  # queries that wait
        chunk: int = 8,  # tokens read at a time
        policy: Literal["fifo", "lfa", "lra"] = "lra",  # which entries are evicted
    ) -> None:
        super().__init__()
        if memory < 1 or delay < 0 or chunk < 1 or policy not in ("fifo", "lfa", "lra"):
            raise InvalidInput(
                f"memory is {memory}, chunk {chunk}, delay {delay} and policy {policy!r}: give a memory and chunk of 1 or "
                "more, a delay of 0 or more, and the policy 'fifo', 'lfa' or 'lra'."
            )
        self.memory, self.delay, self.chunk, self.policy = memory, delay, chunk, policy
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, T, width) of tokens (B, T, width), each at its own position; O(T memory width)."""
        waiting = x[:, :0]
        keys = values = x[:, :0]
        worth = x.new_zeros(x.shape[0], 0)  # by which the policy ranks, for each entry held
        outputs = []
        for start in range(0, x.shape[1], self.chunk):
            query, key, value = self.project(x[:, start : start + self.chunk]).chunk(3, -1)
            waiting = torch.cat((waiting, query), 1)
            keys, values = torch.cat((keys, key), 1), torch.cat((values, value), 1)
            worth = torch.cat((worth, self._first(key, start)), 1)
            end = start + self.chunk >= x.shape[1]
            ready = waiting.shape[1] if end else max(0, waiting.shape[1] - self.delay)
            if ready:
                weights = (waiting[:, :ready] @ keys.mT * keys.shape[-1] ** -0.5).softmax(-1)  # (B, ready, held)
                outputs.append(weights @ values)
                waiting = waiting[:, ready:]
                worth = self._judge(worth, weights.detach(), start)
            if keys.shape[1] > self.memory:
                keep = worth.topk(self.memory, dim=1).indices.sort(1).values
                worth = worth.gather(1, keep)
                keys, values = (t.gather(1, keep[..., None].expand(-1, -1, t.shape[2])) for t in (keys, values))
        found: Tensor = self.out(torch.cat(outputs, 1))
        return found

    def _first(self, key: Tensor, start: int) -> Tensor:
        """Return the worth of new entries, (B, q): their position, or no attention yet."""
        positions = torch.arange(start, start + key.shape[1], device=key.device, dtype=key.dtype)
        return (torch.zeros_like(positions) if self.policy == "lfa" else positions).expand(key.shape[0], -1)

    def _judge(self, worth: Tensor, weights: Tensor, start: int) -> Tensor:
        """Return the worth of entries (B, held) after queries gave them weights (B, n, held)."""
        if self.policy == "fifo":
            return worth
        if self.policy == "lfa":
            return worth + weights.sum(1)
        noticed = (weights > 1 / weights.shape[2]).any(1)
        return torch.where(noticed, float(start + self.chunk), worth)
