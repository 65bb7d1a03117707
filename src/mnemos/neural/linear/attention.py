"""Softmax attention, over all tokens or over a window: the baseline whose memory grows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.registry import Paper, register


@register("attention", papers=(Paper("Attention Is All You Need", "1706.03762"),), task="mqar")
class Attention(Mixer):
    """Keeps the keys and values of all tokens, or of the last `window` ones, and reads them by softmax (arXiv 1706.03762).

    With rotary positions (arXiv 2104.09864); keys are stored before they are turned, and turned by their distance. Costs
    O(T^2 D), or O(T window D) in memory that `scaled_dot_product_attention` masks. The state grows by 2 D numbers a token
    up to the window.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # that read beside each other
        window: int | None = None,  # tokens that are seen, this one among them; None: all
        persistent: int = 0,  # P, learned keys and values that every token sees
    ) -> None:
        super().__init__(width)
        if heads < 1 or width % (2 * heads):
            raise InvalidInput(f"heads is {heads}: width / heads has to be an even number, and the width is {width}.")
        if window is not None and window < 1:
            raise InvalidInput(f"window is {window}: give at least 1 token, or None for all.")
        self.heads, self.window, self.persistent = heads, window, persistent
        self.empty = False  # whether a token may read nothing
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.always = nn.Parameter(torch.randn(2, heads, persistent, width // heads) * 0.02) if persistent else None

    def init_state(self, batch: int) -> State:
        """Return no tokens; `held` says of each held token whether it is one, as sequences may differ in length."""
        none = self.zeros(batch, 0, self.width)
        return {"keys": none, "values": none, "held": none[..., 0].bool()}

    def state_size(self, length: int = 0) -> int:
        """Return a key, a value and a flag for each held token."""
        held = length if self.window is None else min(length, self.window - 1)
        return held * (2 * self.width + 1)

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Attend to what is held and to the tokens up to each."""
        q, k, v = self.to_qkv(x).chunk(3, -1)
        return self.attend(q, k, v, state, mask)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Do the same with queries, keys and values (B, T, D)."""
        x = k
        real = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        old = state["keys"].shape[1]
        keys, values = (torch.cat([state[n].to(x.dtype), new], 1) for n, new in (("keys", k), ("values", v)))
        held = torch.cat([state["held"], real], 1)  # (B, L)
        place = held.cumsum(1)  # of each token among the real ones
        gap = place[:, old:, None] - place[:, None]  # (B, T, L) tokens between
        seen = held[:, None] & (
            torch.arange(held.shape[1], device=x.device) <= old + torch.arange(x.shape[1], device=x.device)[:, None]
        )
        if self.window is not None:
            seen = seen & (gap < self.window)
        seen = seen | (~real[..., None] & torch.eye(held.shape[1], dtype=torch.bool, device=x.device)[old:])
        q, turned = self.split(q), _turn(self.split(keys), place)
        if self.always is None and not self.empty:
            asked = _turn(q, place[:, old:])
            y = F.scaled_dot_product_attention(asked, turned, self.split(values), attn_mask=seen[:, None])
        else:
            y = self.read(q, place[:, old:], turned, self.split(values), seen[:, None])
        return self.out(y.transpose(1, 2).flatten(2)), self.kept(keys, values, held, state["keys"].dtype)

    def read(self, q: Tensor, at: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Return (B, H, T, C) for queries at places (B, T), keys that are turned, and learned keys, which have no place."""
        scores = (_turn(q, at) @ keys.transpose(-1, -2)).masked_fill(~seen, float("-inf"))
        if self.always is not None:
            scores = torch.cat([q @ self.always[0].to(q.dtype).transpose(-1, -2), scores], -1)
            values = torch.cat([self.always[1].to(q.dtype).expand(len(q), -1, -1, -1), values], 2)
        scores = scores / q.shape[-1] ** 0.5
        if self.empty:  # a key of energy 0 without a value
            return F.pad(scores, (0, 1)).softmax(-1)[..., :-1] @ values
        return scores.softmax(-1) @ values

    def kept(self, keys: Tensor, values: Tensor, held: Tensor, dtype: torch.dtype) -> State:
        """Return the state: the last real tokens of each sequence, at its right end."""
        order = held.to(torch.uint8).argsort(dim=1, stable=True)  # padding first
        size = int(held.sum(1).max())
        if self.window is not None:
            size = min(size, self.window - 1)
        order = order[:, order.shape[1] - size :]
        take = order[..., None].expand(-1, -1, self.width)
        return {
            "keys": keys.gather(1, take).to(dtype),
            "values": values.gather(1, take).to(dtype),
            "held": held.gather(1, order),
        }

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Attend token by token, to a list of keys and values that grows."""
        q, k, v = self.to_qkv(x).chunk(3, -1)
        return self.attend_naive(q, k, v, state)

    def attend_naive(self, q_all: Tensor, k_all: Tensor, v_all: Tensor, state: State) -> tuple[Tensor, State]:
        """Do the same with queries, keys and values (B, T, D)."""
        out = []
        for q, k, v in zip(*(t.split(1, 1) for t in (q_all, k_all, v_all)), strict=True):
            keys, values = (torch.cat([state[n].to(k.dtype), new], 1) for n, new in (("keys", k), ("values", v)))
            held = F.pad(state["held"], (0, 1), value=True)
            place = held.cumsum(1)
            turned, seen = _turn(self.split(keys), place), held[:, None, None]
            read = self.read(self.split(q), place[:, -1:], turned, self.split(values), seen)
            out.append(self.out(read.transpose(1, 2).flatten(2))[:, 0])
            state = self.kept(keys, values, held, state["keys"].dtype)
        return torch.stack(out, 1), state

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, T, channels) for (B, T, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _turn(x: Tensor, place: Tensor) -> Tensor:
    """Turn pairs of channels of x (B, H, T, C) by angles that grow with the place (B, T)."""
    half = x.shape[-1] // 2
    rates = 10_000.0 ** -(torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angle = place[:, None, :, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
