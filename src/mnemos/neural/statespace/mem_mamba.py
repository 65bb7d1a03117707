"""MemMamba: Mamba layers that take notes, and look them up across tokens and layers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.statespace import pool
from mnemos.neural.statespace.mamba import Mamba
from mnemos.registry import Paper, register


@register(
    "mem-mamba",
    papers=(Paper("MemMamba: Rethinking Memory Patterns in State Space Model", "2510.03279"),),
    task="passkey",
    baselines=("mamba",),
)
class MemMamba(Mixer):
    """Lets Mamba layers keep summaries of the tokens that score best, and attend to them where they forget (2510.03279).

    Layer l: h = h + Mamba_l(h); a token with score sigmoid(w h) over `threshold` is noted as a summary W h in the layer's pool
    of `notes` places; each token reads the pool by cross-attention, through a gate for its risk of forgetting; every `every`
    layers it reads the pools of all earlier layers too. All fades but the pools, so a note is there at any distance; a token
    costs O(CHUNK + notes) beside Mamba's cost, a step O(notes).
    Departures: the score is added to the logits as its logarithm, so that it is learned; the risk is a learned gate.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        layers: int = 2,  # Mamba layers in this block
        notes: int = 8,  # P, places of each layer's pool
        summary: int | None = None,  # channels of a note; D if nothing is said
        threshold: float = 0.1,  # of the score, from 0 to 1, over which a token is noted
        evict: Literal["priority", "oldest"] = "priority",  # which note goes when the pool is full
        every: int = 2,  # layers between two looks at the pools of earlier layers
        states: int = 8,  # of each inner channel of a Mamba layer
    ) -> None:
        super().__init__(width)
        if layers < 1 or notes < 1 or every < 1:
            raise InvalidInput(f"layers is {layers}, notes {notes}, every {every}: give at least 1 each.")
        self.notes, self.threshold, self.evict, self.every = notes, threshold, evict, every
        self.summary = summary or width
        self.layers = nn.ModuleList(Note(width, self.summary, states) for _ in range(layers))

    def init_state(self, batch: int) -> State:
        """Return the states of the layers, and empty pools."""
        made: State = {"read": self.zeros(batch)}
        for place, layer in enumerate(self.layers):
            made |= {f"{place}.{name}": t for name, t in layer.mamba.init_state(batch).items()}
            made[f"{place}.notes"] = self.zeros(batch, self.notes, self.summary + 1)  # a summary and its score
            made[f"{place}.worth"] = self.zeros(batch, self.notes) + pool.EMPTY
        return made

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Go through the layers chunk by chunk."""
        return pool.by_chunks(self.chunk, x, state, mask)

    def chunk(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Go through the layers for the tokens of a chunk at once, each token with the pool as it was then."""
        h, pools = x, []
        after: State = {}
        now = self.notes + torch.arange(x.shape[1], device=x.device)
        for place, layer in enumerate(self.layers):
            y, inner = layer.mamba.mix(layer.norm(h), _of(state, place), mask)
            h = h + y
            new, worth = self.note(layer, h, state["read"], state[f"{place}.worth"].dtype)
            if mask is not None:
                worth = torch.where(mask, worth, pool.EMPTY)
            entries = torch.cat([state[f"{place}.notes"], new.to(state[f"{place}.notes"].dtype)], 1)
            worth = torch.cat([state[f"{place}.worth"], worth], 1)
            pools.append((entries.to(x.dtype), pool.held(worth, self.notes, now)))
            stays = pool.kept(worth, self.notes)
            h = h + self.look(layer, h, place, pools)
            after |= {f"{place}.{name}": t for name, t in inner.items()}
            after |= {f"{place}.notes": pool.take(entries, stays), f"{place}.worth": pool.take(worth, stays)}
        return h - x, after | {"read": state["read"] + (x.shape[1] if mask is None else mask.sum(1))}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go through the layers token by token."""
        out = []
        for token in x.split(1, 1):
            h, pools = token, []
            after: State = {}
            for place, layer in enumerate(self.layers):
                y, inner = layer.mamba.naive(layer.norm(h), _of(state, place))
                h = h + y
                new, worth = self.note(layer, h, state["read"], state[f"{place}.worth"].dtype)
                entries, worth = pool.offer([state[f"{place}.notes"], state[f"{place}.worth"]], [new, worth])
                pools.append((entries.to(x.dtype), (worth >= 0)[:, None]))
                h = h + self.look(layer, h, place, pools)
                after |= {f"{place}.{name}": t for name, t in inner.items()}
                after |= {f"{place}.notes": entries, f"{place}.worth": worth}
            out.append(h - token)
            state = after | {"read": state["read"] + 1}
        return torch.cat(out, 1), state

    def note(self, layer: Note, h: Tensor, read: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return what could be noted of tokens h (B, T, summary + 1), the score last, and what each is worth (B, T)."""
        score = layer.to_score(h).to(dtype).sigmoid()
        rank = score.detach()[..., 0]
        if self.evict == "oldest":
            rank = read[:, None] + torch.arange(h.shape[1], device=h.device, dtype=dtype)
        worth = torch.where(score.detach()[..., 0] > self.threshold, rank, pool.EMPTY)
        return torch.cat([layer.to_summary(h), score.to(h.dtype)], -1), worth

    def look(self, layer: Note, h: Tensor, place: int, pools: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return what tokens h read from their layer's pool, and, every `every` layers, from the earlier ones."""
        found = layer.read(h, *pools[-1])
        if place and (place + 1) % self.every == 0:
            earlier = [torch.cat(part, dim) for part, dim in zip(zip(*pools[:-1], strict=True), (1, 2), strict=True)]
            found = found + layer.across(h, *earlier)
        return found * layer.to_risk(h).sigmoid()


class Read(nn.Module):  # type: ignore[misc]
    """Cross-attention from tokens to notes; a token whose pool is empty reads nothing."""

    def __init__(self, width: int, summary: int) -> None:
        super().__init__()
        self.to_query, self.to_kv = nn.Linear(width, summary, bias=False), nn.Linear(summary, 2 * summary, bias=False)
        self.out = nn.Linear(summary, width, bias=False)

    def forward(self, h: Tensor, notes: Tensor, held: Tensor) -> Tensor:
        """Return (B, T, D) for tokens (B, T, D), notes (B, L, summary + 1), and which are held (B, T, L)."""
        keys, values = self.to_kv(notes[..., :-1]).chunk(2, -1)
        logits = self.to_query(h) @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5
        logits = logits + notes[..., -1].clamp_min(1e-6).log()[:, None]
        logits = torch.cat([logits.masked_fill(~held, float("-inf")), torch.zeros_like(logits[..., :1])], -1)
        read: Tensor = self.out(logits.softmax(-1)[..., :-1] @ values)
        return read


class Note(nn.Module):  # type: ignore[misc]
    """A Mamba layer with what it needs to take notes and to look them up."""

    def __init__(self, width: int, summary: int, states: int) -> None:
        super().__init__()
        self.norm, self.mamba = nn.RMSNorm(width), Mamba(width, states)
        self.to_score, self.to_risk = nn.Linear(width, 1), nn.Linear(width, 1)
        self.to_summary = nn.Linear(width, summary, bias=False)
        self.read, self.across = Read(width, summary), Read(width, summary)


def _of(state: State, place: int) -> State:
    return {name: state[f"{place}.{name}"] for name in ("system", "last")}
