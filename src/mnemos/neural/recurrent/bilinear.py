"""Bilinear recurrences: a token is a matrix that the state is multiplied by."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.recurrent.cell import units
from mnemos.registry import Paper, register

Transition = Literal["full", "factorised", "rotation", "signed", "positive"]
LONG = 512  # tokens from which on products of matrices pay, where H is small


@register(
    "bilinear-rnn",
    papers=(Paper("Revisiting Bi-Linear State Transitions in Recurrent Neural Networks", "2505.21749"),),
    task="recurrent",
    baselines=("lstm", "linear-attention"),
)
class BilinearRNN(Mixer):
    """Multiplies its state by a matrix that the token chooses, and adds nothing (arXiv 2505.21749).

    h_t = A(x_t) h_{t-1}, scaled to length sqrt(H). `transition` says what A may be, a ladder of what can be tracked:
    `full` (W x, any automaton), `factorised` (sum over R of p_r (c_r x) q_r'), `rotation` (2 x 2 blocks: only what
    commutes, such as counting modulo m), `signed` (a diagonal: parity) and `positive` (a positive diagonal, as in Mamba: not
    even parity). Rotations and diagonals are cumulative sums. Matrices are multiplied in chunks for long texts and few units:
    products within all chunks at once, then from chunk to chunk, so 3 sqrt(T) steps stand in the place of T, at O(T H^3).
    h_0 is learned; A starts near a rotation that the token chooses where it can be one.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, units of the state; D if nothing is said
        transition: Transition = "factorised",  # what A may be
        rank: int | None = None,  # R, of the factorised A; H if nothing is said
        chunk: int | None = None,  # tokens of a chunk of products; 0 for none; sqrt(T) where it pays if nothing is said
    ) -> None:
        super().__init__(width)
        H = self.hidden = units(width, hidden)
        if H < 1 or (transition == "rotation" and H % 2):
            raise InvalidInput(f"hidden is {H}: give at least 1, an even number for rotations.")
        self.transition, self.chunk = transition, chunk
        sizes = {"full": H * H, "factorised": rank or H, "rotation": H // 2, "signed": H, "positive": H}
        if transition not in sizes:
            raise InvalidInput(f"transition is {transition!r}: choose from {', '.join(sizes)}.")
        self.enter = nn.Linear(width, sizes[transition], bias=transition in ("rotation", "positive"))
        if transition == "full":
            nn.init.normal_(self.enter.weight, std=(H * width) ** -0.5)
        if transition == "factorised":
            nn.init.normal_(self.enter.weight, std=width**-0.5)
            self.p = nn.Parameter(torch.randn(H, sizes[transition]) * sizes[transition] ** -0.5)
            self.q = nn.Parameter(torch.randn(sizes[transition], H) * H**-0.5)
        self.start = nn.Parameter(torch.randn(H))
        self.out = nn.Linear(H, width)

    def init_state(self, batch: int) -> State:
        """Return h_0 of each sequence, (B, H)."""
        start = self.start.to(torch.promote_types(self.start.dtype, torch.float32))
        return {"h": scaled(start).expand(batch, -1).clone()}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Multiply: in closed form, in chunks, or step by step."""
        h, said = state["h"], self.enter(x)
        said = said.to(h.dtype)
        if self.transition in ("full", "factorised"):
            out = self.multiply(self.matrices(said), h, mask) if self.long(x) else self.steps(said, h, mask)
        else:
            real = None if mask is None else mask[..., None]
            out = rotated(said, h, real) if self.transition == "rotation" else self.diagonal(said, h, real)
        return self.out(out.to(x.dtype)), {"h": out[:, -1]}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Multiply token by token by the matrix A(x_t), written out."""
        h, out = state["h"], []
        for token in x.unbind(1):
            said = self.enter(token)
            if self.transition in ("full", "factorised"):
                A = self.matrices(said[:, None])[:, 0]
            elif self.transition == "rotation":
                cos, sin = said.cos(), said.sin()
                A = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
                A = torch.stack([torch.block_diag(*blocks) for blocks in A])
            else:
                A = torch.diag_embed(said if self.transition == "signed" else said.sigmoid())
            h = scaled((A @ h[..., None])[..., 0])
            out.append(self.out(h.to(x.dtype)))
        return torch.stack(out, 1), {"h": h}

    def long(self, x: Tensor) -> bool:
        """Tell whether matrices are multiplied in chunks."""
        return bool(self.chunk) if self.chunk is not None else x.shape[1] >= LONG and self.hidden <= 16

    def matrices(self, said: Tensor) -> Tensor:
        """Return A (B, T, H, H) of full and factorised transitions."""
        if self.transition == "full":
            return said.unflatten(-1, (self.hidden, self.hidden))
        return (self.p.to(said.dtype) * said[..., None, :]) @ self.q.to(said.dtype)

    def steps(self, said: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        """Return h (B, T, H), step by step."""
        out = []
        if self.transition == "full":

            def one(h: Tensor, now: Tensor) -> Tensor:
                return torch.bmm(now.view(-1, self.hidden, self.hidden), h[..., None])[..., 0]
        else:
            p, q = self.p.T.to(h.dtype), self.q.T.to(h.dtype)

            def one(h: Tensor, now: Tensor) -> Tensor:
                return (h @ q * now) @ p

        for t, now in enumerate(said.unbind(1)):
            new = scaled(one(h, now))
            h = new if mask is None else torch.where(mask[:, t, None], new, h)
            out.append(h)
        return torch.stack(out, 1)

    def multiply(self, A: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        """Return h (B, T, H) by products within chunks, from chunk to chunk, and within chunks again."""
        B, T, H, _ = A.shape
        C = self.chunk or int(T**0.5)
        eye = torch.eye(H, dtype=A.dtype, device=A.device)
        if mask is not None:
            A = torch.where(mask[..., None, None], A, eye)
        A = torch.cat([A, eye.expand(B, -T % C, H, H)], 1).view(B, -1, C, H, H)
        product = A[:, :, 0]
        for i in range(1, C):
            product = scaled(A[:, :, i] @ product, (-2, -1))
        starts = [h]
        for n in range(product.shape[1] - 1):
            starts.append(scaled((product[:, n] @ starts[-1][..., None])[..., 0]))
        now, out = torch.stack(starts, 1), []
        for i in range(C):
            now = scaled((A[:, :, i] @ now[..., None])[..., 0])
            out.append(now)
        return torch.stack(out, 2).flatten(1, 2)[:, :T]

    def diagonal(self, said: Tensor, h: Tensor, real: Tensor | None) -> Tensor:
        """Return h (B, T, H) of diagonal transitions: cumulative products as sums of logarithms and counts of signs."""
        if self.transition == "positive":
            logs, negative = F.logsigmoid(said), torch.zeros_like(said)
        else:
            logs, negative = said.abs().clamp_min(1e-30).log(), (said < 0).to(said.dtype)
        if real is not None:
            logs, negative = logs.masked_fill(~real, 0.0), negative * real
        total = logs.cumsum(1) + h.abs().clamp_min(1e-30).log()[:, None]
        sign = (1 - 2 * (negative.cumsum(1) % 2)) * h.sign()[:, None]
        return scaled(sign * (total - total.amax(-1, keepdim=True)).exp())


def rotated(angles: Tensor, h: Tensor, real: Tensor | None) -> Tensor:
    """Return h (B, T, H) turned by the sum of the angles (B, T, H / 2) so far, pair by pair."""
    total = (angles if real is None else angles * real).cumsum(1)
    a, b = h.unflatten(-1, (-1, 2))[:, None].unbind(-1)
    cos, sin = total.cos(), total.sin()
    return scaled(torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2))


def scaled(h: Tensor, over: int | tuple[int, int] = -1) -> Tensor:
    """Return vectors (or matrices) of length sqrt(H)."""
    length = torch.linalg.vector_norm(h, dim=over, keepdim=True)
    return h * (h.shape[-1] ** 0.5 / length.clamp_min(1e-20))
