"""B'MOJO: a window, a fading state, and the most surprising tokens word for word, read by one attention."""

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
    "b-mojo",
    papers=(
        Paper(
            "B'MOJO: Hybrid State Space Realizations of Foundation Models with Eidetic and Fading Memory", "2407.06324"
        ),
    ),
    task="mqar",
    baselines=("mamba", "attention"),
)
class BMojo(Mixer):
    """Attends to the last tokens, to a store of surprising older ones, and to what a fading state says (arXiv 2407.06324).

    y_t = softmax attention of q_t over {tokens of the window} + {eidetic store} + {summary of a selective state space
    layer}. A token that leaves the window is offered to the store, which keeps the `store` ones with the greatest innovation
    |x_t - mean of the `recent` tokens before it|; one that was pushed out does not come back. Places in the window are told
    apart by a learned bias. Costs O(T (CHUNK + window + store)), a step O(window + store).
    Departures: the predictor of the innovation is that mean, and the store is chosen token by token, not chunk by chunk.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        window: int = 8,  # tokens that are seen, this one among them
        store: int = 16,  # P, older tokens that are kept
        heads: int = 1,  # that read beside each other
        states: int = 8,  # of each channel of the fading memory
        recent: int = 4,  # tokens before one that predict it
        choice: Literal[
            "innovation", "newest", "random"
        ] = "innovation",  # of what the store keeps; the others are baselines
        fading: bool = True,  # whether the fading memory is read; its state is carried anyway
    ) -> None:
        super().__init__(width)
        if heads < 1 or width % heads:
            raise InvalidInput(f"heads is {heads}: give a divisor of the width, {width}.")
        if window < 2 or store < 1 or recent < 1:
            raise InvalidInput(f"window is {window}, store {store}, recent {recent}: give at least 2, 1 and 1.")
        self.window, self.store, self.heads, self.recent, self.choice = window, store, heads, recent, choice
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.fade = Mamba(width, states, expand=1)
        self.to_summary = nn.Linear(width, 2 * width, bias=False)
        self.bias = nn.Parameter(torch.zeros(heads, window + 2))  # by age in the window; of the store; of the summary
        self.out = nn.Linear(width, width, bias=False)
        self.fading = fading

    def init_state(self, batch: int) -> State:
        """Return an empty window and store, whose places have a worth below 0, and a state that has not begun."""
        made = {f"fading.{name}": tensor for name, tensor in self.fade.init_state(batch).items()}
        for name, size in (("window", self.window - 1), ("store", self.store)):
            made[f"{name}.tokens"] = self.zeros(batch, size, 2 * self.width)  # keys and values
            made[f"{name}.worth"] = self.zeros(batch, size) + pool.EMPTY
        return made | {"recent": self.zeros(batch, self.recent, self.width), "read": self.zeros(batch)}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Attend chunk by chunk."""
        return pool.by_chunks(self.chunk, x, state, mask)

    def chunk(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Attend for the tokens of a chunk at once, each to what its pool holds."""
        summary, fading = self.fade.mix(x, _of(state, "fading"), mask)
        q, new = self.to_qkv(x).split([self.width, 2 * self.width], -1)
        length, places = x.shape[1], self.store
        seen = torch.cat([state["recent"], x.to(state["recent"].dtype)], 1)
        worth = torch.cat([state["store.worth"], state["window.worth"], self.worth(seen, state["read"])], 1)
        tokens = torch.cat([state["store.tokens"], state["window.tokens"], new.to(state["store.tokens"].dtype)], 1)
        entry, now = (torch.arange(n, device=x.device) for n in (tokens.shape[1], length))
        age = places + self.window - 1 + now[:, None] - entry  # (T, L) of each entry
        inside = (age >= 0) & (age < self.window)
        stored = pool.held(worth, places, places - 1 + now)  # (B, T, L)
        real = stored | (inside & (worth >= 0)[:, None]) | (age == 0)
        bias = torch.where(inside, self.bias[:, age.clamp(0, self.window - 1)], self.bias[:, self.window, None, None])
        y = self.attend(q, tokens.to(x.dtype), summary, bias[None].masked_fill(~real[:, None], float("-inf")))
        read = mask.sum(1) if mask is not None else torch.full((len(x),), length, device=x.device)
        last = read[:, None] + torch.arange(self.window - 1, device=x.device) + places
        offered = torch.where(entry < places + read[:, None], worth, pool.EMPTY)
        stays = pool.kept(offered, places)
        after = {
            "window.tokens": pool.take(tokens, last),
            "window.worth": pool.take(worth, last),
            "store.tokens": pool.take(tokens, stays),
            "store.worth": pool.take(offered, stays),
            "recent": pool.take(seen, read[:, None] + torch.arange(self.recent, device=x.device)),
            "read": state["read"] + read,
        }
        return y, {f"fading.{name}": tensor for name, tensor in fading.items()} | after

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Attend token by token; what leaves the window is offered to the store."""
        out = []
        for token in x.split(1, 1):
            summary, fading = self.fade.naive(token, _of(state, "fading"))
            q, new = self.to_qkv(token).split([self.width, 2 * self.width], -1)
            seen = torch.cat([state["recent"], token.to(state["recent"].dtype)], 1)
            window = torch.cat([state["window.tokens"], new.to(state["window.tokens"].dtype)], 1)
            worth = torch.cat([state["window.worth"], self.worth(seen, state["read"])], 1)
            bias = torch.cat(
                [self.bias[:, self.window, None].expand(-1, self.store), self.bias[:, : self.window].flip(1)], 1
            )
            empty = torch.cat([state["store.worth"], worth], 1) < 0
            logits = bias[None, :, None].masked_fill(empty[:, None, None], float("-inf"))
            tokens = torch.cat([state["store.tokens"], window], 1)
            out.append(self.attend(q, tokens.to(x.dtype), summary, logits))
            store = [state["store.tokens"], state["store.worth"]]
            store = pool.offer(store, [window[:, :1], worth[:, :1]])
            state = {f"fading.{name}": tensor for name, tensor in fading.items()} | {
                "window.tokens": window[:, 1:], "window.worth": worth[:, 1:],
                "store.tokens": store[0], "store.worth": store[1],
                "recent": seen[:, 1:], "read": state["read"] + 1,
            }  # fmt: skip
        return torch.cat(out, 1), state

    def worth(self, seen: Tensor, read: Tensor) -> Tensor:
        """Return how much each new token (B, T) is worth, for the tokens before them and them (B, recent + T, D)."""
        seen, count = seen.detach(), seen.shape[1] - self.recent
        if self.choice == "innovation":
            total = torch.cat([torch.zeros_like(seen[:, :1]), seen.cumsum(1)], 1)
            mean = (total[:, self.recent : -1] - total[:, :count]) / self.recent
            return (seen[:, self.recent :] - mean).norm(dim=-1)
        place = read[:, None] + torch.arange(count, device=seen.device, dtype=seen.dtype)
        return place if self.choice == "newest" else (torch.sin(12.9898 * place) * 43758.5453).frac().abs()

    def attend(self, q: Tensor, tokens: Tensor, summary: Tensor, bias: Tensor) -> Tensor:
        """Return the output (B, T, D): q and summaries (B, T, D), tokens (B, L, 2 D), bias (B, H, T, L)."""
        keys, values = (self.split(t) for t in tokens.chunk(2, -1))
        key, value = (self.split(t) for t in self.to_summary(summary).chunk(2, -1))
        q = self.split(q) * (self.width // self.heads) ** -0.5
        own = (q * key).sum(-1, keepdim=True) + self.bias[:, -1, None, None]
        if not self.fading:
            own = torch.full_like(own, float("-inf"))
        weights = torch.cat([q @ keys.transpose(-1, -2) + bias, own], -1).softmax(-1)
        read = weights[..., :-1] @ values + weights[..., -1:] * value
        return self.out(read.transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, T, channels) for (B, T, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _of(state: State, part: str) -> State:
    return {name.removeprefix(f"{part}."): t for name, t in state.items() if name.startswith(f"{part}.")}
