"""The relational memory core: slots attend to each other and to the input, and are rewritten through gates.

B sequences   T tokens   D channels   N slots   H heads
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.registry import Paper, register


@register(
    "relational-memory-core",
    papers=(Paper("Relational recurrent neural networks", "1806.01822", "google-deepmind/sonnet"),),
    task="slot-readers",
)
class RelationalMemoryCore(Mixer):
    """Carries N slots that interact at each token: M~ = MHA(M, [M; x]), then an MLP, then a gate a slot (arXiv 1806.01822).

    A = norm(M + softmax(M Wq ([M; x] Wk)^T) [M; x] Wv), M~ = norm(A + mlp(A)), M' = sigmoid(f) M + sigmoid(i) tanh(M~),
    with f and i from x and tanh(M). The output is a map of all slots. Costs O(T N (N + 1) D + T N D^2). The state is N
    D numbers. Departure: one forget and one input gate a slot ("unit" gates of the code are for each channel). Slots
    begin as rows of an identity, which tells them apart.
    """

    def __init__(
        self,
        width: int,  # D
        slots: int = 4,  # N
        heads: int = 2,  # H
    ) -> None:
        super().__init__(width)
        if slots < 1 or heads < 1 or width % heads:
            raise InvalidInput(
                f"slots is {slots}, heads {heads}: give at least one slot, and heads that divide the width {width}."
            )
        self.slots, self.heads = slots, heads
        self.to_q, self.to_kv = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.enter = nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.gate_x, self.gate_m = nn.Linear(width, 2), nn.Linear(width, 2, bias=False)
        self.out = nn.Linear(slots * width, width)

    def init_state(self, batch: int) -> State:
        """Return slots that are rows of an identity matrix, padded or cut to D channels."""
        eye = self.zeros(self.slots, self.width)
        eye = eye + torch.eye(self.slots, self.width, device=eye.device, dtype=eye.dtype)
        return {"slots": eye.expand(batch, -1, -1).clone()}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Go token by token; what depends on tokens alone is computed for all of them first."""
        entered = self.enter(x)
        kv, gates = self.to_kv(entered), self.gate_x(entered)
        M, out = state["slots"].to(x.dtype), []
        for t in range(x.shape[1]):
            new = self.rewrite(M, kv[:, t, None], gates[:, t])
            M = new if mask is None else torch.where(mask[:, t, None, None], new, M)
            out.append(M.flatten(1))
        return self.out(torch.stack(out, 1)), {"slots": M.to(state["slots"].dtype)}

    def rewrite(self, M: Tensor, kv: Tensor, gates: Tensor) -> Tensor:
        """Return the slots (B, N, D) after one token, given as its keys and values (B, 1, 2 D) and its gates (B, 2)."""
        q = self.split(self.to_q(M))
        k, v = (self.split(t) for t in torch.cat([self.to_kv(M), kv], 1).chunk(2, -1))
        read = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        A = self.first(M + read)
        new = self.second(A + self.mlp(A))
        forget, enter = (gates[:, None] + self.gate_m(M.tanh())).chunk(2, -1)
        return (forget + 1).sigmoid() * M + enter.sigmoid() * new.tanh()

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Follow the formula token by token, head by head."""
        M, out, d = state["slots"].to(x.dtype), [], self.width // self.heads
        for token in x.unbind(1):
            e = self.enter(token)
            both = torch.cat([M, e[:, None]], 1)
            q, (k, v) = self.to_q(M), self.to_kv(both).chunk(2, -1)
            parts = [slice(h * d, (h + 1) * d) for h in range(self.heads)]
            read = [((q[..., c] @ k[..., c].transpose(1, 2)) / d**0.5).softmax(-1) @ v[..., c] for c in parts]
            A = self.first(M + torch.cat(read, -1))
            new = self.second(A + self.mlp(A))
            f, i = (self.gate_x(e)[:, None] + self.gate_m(torch.tanh(M))).unbind(-1)
            M = torch.sigmoid(f + 1)[..., None] * M + torch.sigmoid(i)[..., None] * torch.tanh(new)
            out.append(self.out(M.flatten(1)))
        return torch.stack(out, 1), {"slots": M.to(state["slots"].dtype)}

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, N, D / H) for (B, N, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
