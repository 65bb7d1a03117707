"""A fading memory that does not collapse on texts longer than those it was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.linear import rules
from mnemos.neural.linear.mamba2 import Mamba2
from mnemos.registry import Paper, register


@register(
    "bounded-memory",
    papers=(
        Paper(
            "Stuffed Mamba: State Collapse and State Capacity of RNN-Based Long-Context Modeling",
            "2410.07145",
            "thunlp/stuffed-mamba",
        ),
    ),
    task="linear-layers",
    baselines=("mamba-2",),
)
class BoundedMemory(Mamba2):
    """Keeps the memory of a trained Mamba-2 as it was in training, on any length (arXiv 2410.07145).

    Its weights are those of `mamba-2`. With a `window` of w tokens it reads S_t - (a_{t-w+1} ... a_t) S_{t-w}, what the last w
    tokens wrote, computed from their keys and values, which the state holds: O(T w). With a `ceiling` a memory whose norm exceeds
    it is scaled down to it after each token: a loop over tokens. `keep` and `write` weaken what a token leaves and adds.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        window: int | None = 32,  # w, tokens whose traces are read; None: all
        ceiling: float | None = None,  # of the norm of the memory of a head; not with a window
        keep: float = 1.0,  # times what a token leaves of the memory
        write: float = 1.0,  # times what it adds
    ) -> None:
        if window is not None and (window < 1 or ceiling is not None):
            raise InvalidInput(
                f"window is {window}, ceiling {ceiling}: give one of them, a window of at least 1 token."
            )
        self.window, self.ceiling, self.kept, self.written = window, ceiling, keep, write
        super().__init__(width, heads, key, value)

    def init_state(self, batch: int) -> State:
        """Return an empty memory, or a window of tokens that wrote nothing."""
        if self.window is None:
            return super().init_state(batch)
        sizes, before = {"k": self.key, "v": self.value, "decay": 1}, self.window - 1
        return {name: self.zeros(batch, self.heads, before, size) for name, size in sizes.items()}

    def said(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what Mamba-2 makes of tokens, weakened."""
        like = {"memory": next(iter(state.values()))}
        parts, kept = self.parts(x, like, mask), torch.tensor(self.kept, device=x.device).log()
        decay = parts.decay + (kept if mask is None else kept * mask[:, None, :, None])
        return parts.q, parts.k * self.written, parts.v, decay

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read by a band of the last w tokens, or in a loop where there is a ceiling."""
        if self.window is None and self.ceiling is not None:
            return self.looped(x, state, mask)
        if self.window is None:
            read, S = rules.additive(*self.said(x, state, mask), state["memory"])
            return self.answer(read, x), {"memory": S}
        q, *new = self.said(x, state, mask)
        k, v, decay = (torch.cat([state[n], t], 2) for n, t in zip(("k", "v", "decay"), new, strict=True))
        total, T = decay.cumsum(2), x.shape[1]
        late, early = (
            torch.arange(T, device=x.device)[:, None] + self.window - 1,
            torch.arange(k.shape[2], device=x.device),
        )
        seen = (early <= late) & (late - early < self.window)
        fading = (total[:, :, -T:] - total.transpose(-1, -2)).masked_fill(~seen, float("-inf")).exp()
        read = ((q @ k.transpose(-1, -2)) * fading) @ v
        return self.answer(read, x), self.last(k, v, decay, mask, T)

    def last(self, k: Tensor, v: Tensor, decay: Tensor, mask: Tensor | None, T: int) -> State:
        """Return the last w - 1 tokens that were read."""
        read = torch.full((len(k),), T, device=k.device) if mask is None else mask.sum(1)
        places = (read[:, None] + torch.arange(self.init_state(1)["k"].shape[2], device=k.device))[:, None, :, None]
        return {
            name: t.gather(2, places.expand(-1, self.heads, -1, t.shape[3]))
            for name, t in (("k", k), ("v", v), ("decay", decay))
        }

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take from the running memory what the token that leaves the window wrote."""
        if self.window is None:
            return self.looped(x, state, None)
        q, *new = self.said(x, state, None)
        held, out = [state[n] for n in ("k", "v", "decay")], []
        for t in range(x.shape[1]):
            k, v, decay = (torch.cat([h, n[:, :, t : t + 1]], 2) for h, n in zip(held, new, strict=True))
            S = q.new_zeros(len(x), self.heads, self.key, self.value)
            for i in range(k.shape[2]):
                S = decay[:, :, i, :, None].exp() * S + k[:, :, i, :, None] * v[:, :, i, None]
            out.append(q[:, :, t, None] @ S)
            held = [part[:, :, 1:] for part in (k, v, decay)]
        return self.answer(torch.cat(out, 2), x), dict(zip(("k", "v", "decay"), held, strict=True))

    def looped(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Go token by token, and scale a memory down to the ceiling."""
        q, k, v, decay = self.said(x, state, mask)
        S, out = state["memory"], []
        for t in range(x.shape[1]):
            S = decay[:, :, t, :, None].exp() * S + k[:, :, t, :, None] * v[:, :, t, None]
            if self.ceiling is not None:
                S = S * (self.ceiling / S.norm(dim=(-1, -2), keepdim=True).clamp_min(1e-9)).clamp_max(1)
            out.append(q[:, :, t, None] @ S)
        return self.answer(torch.cat(out, 2), x), {"memory": S}
