"""Numbers of different precision packed together: one bit of each a plane.

Dimension letters are those of `mnemos.activation.base`; C is the channels of all heads, keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Of a normal number rounded evenly to 2^b levels, b = 0 to 8: its squared error, and the step that makes it least, in
# standard deviations (Max, Quantizing for Minimum Distortion, 1960, table II).
ERROR = (1.0, 0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.001041, 0.0003035, 0.0000869)
STEP = (0.0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)
MOST = len(ERROR) - 1  # bits of a number
WIDER = (1.0, 1.3, 1.7, 2.5)  # steps that are tried, for numbers with heavier tails than normal ones


def widths(variance: Tensor, bits: float) -> Tensor:
    """Return the bits of each number, 0 to 8, that sum to `bits` a number and make the summed squared error least.

    `variance` is of any shape, and so is the result, in uint8. Reverse water-filling in whole bits: each bit goes
    where it takes away most. O(n log n).
    """
    error = variance.new_tensor(ERROR)
    gain = variance.flatten()[:, None] * (error[:-1] - error[1:])  # falls from bit to bit, so the first ones win first
    count = min(int(bits * variance.numel()), gain.numel())
    won = torch.zeros_like(gain, dtype=torch.bool).flatten()
    won[gain.flatten().topk(count).indices] = True
    return won.view_as(gain).sum(1).to(torch.uint8).view(variance.shape)


@dataclass
class Planes:
    """Numbers (B, C, T), each channel in its own number of bits.

    A number is step (code - (2^b - 1) / 2). Plane p has bit p of the channels with more than p bits, eight tokens a
    byte.
    """

    bits: Tensor  # (C,) in uint8
    step: Tensor  # (C,) in float16
    planes: list[Tensor]  # (B, channels with more than p bits, ceil(T / 8)) in uint8
    count: int  # T
    batch: int  # B

    @staticmethod
    def of(numbers: Tensor, bits: Tensor) -> Planes:
        """Return numbers (B, C, T) in few bits. O(size)."""
        levels = 2.0 ** bits.float() - 1
        spread = numbers.square().mean((0, 2)).sqrt() * numbers.new_tensor(STEP)[bits.long()]
        best, step = numbers.new_full(spread.shape, torch.inf), spread
        for factor in WIDER:
            tried = (spread * factor).half().float()
            error = (_rounded(_codes(numbers, tried, levels), tried, levels) - numbers).square().mean((0, 2))
            step = torch.where(error < best, tried, step)
            best = torch.minimum(error, best)
        codes = _codes(numbers, step, levels).to(torch.uint8)
        planes = [_packed((codes[:, bits > p] >> p) & 1) for p in range(int(bits.max()) if len(bits) else 0)]
        return Planes(bits, step.half(), planes, numbers.shape[2], len(numbers))

    def open(self) -> Tensor:
        """Return the numbers, rounded, (B, C, T) in float32. O(size)."""
        codes = torch.zeros(self.batch, len(self.bits), self.count, dtype=torch.uint8, device=self.bits.device)
        for p, plane in enumerate(self.planes):
            which = (self.bits > p).nonzero()[:, 0]
            codes.index_add_(1, which, _unpacked(plane, self.count) << p)
        half = (2.0 ** self.bits.float() - 1) / 2
        return codes.float().sub_(half[:, None]).mul_(self.step.float()[:, None])

    def rows(self, index: Tensor) -> Planes:
        """Return some rows of the batch, in that order."""
        return replace(self, planes=[p.index_select(0, index.to(p.device)) for p in self.planes], batch=len(index))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(int(t.nbytes) for t in (self.bits, self.step, *self.planes))


def _codes(numbers: Tensor, step: Tensor, levels: Tensor) -> Tensor:
    half = (levels / 2)[:, None]
    code = (numbers / step.clamp_min(1e-12)[:, None] + half).round()
    return torch.minimum(code.clamp_min(0), levels[:, None])


def _rounded(codes: Tensor, step: Tensor, levels: Tensor) -> Tensor:
    return (codes - (levels / 2)[:, None]) * step[:, None]


def _packed(bits: Tensor) -> Tensor:
    """Put eight of the bits (B, n, T) into each byte."""
    if missing := -bits.shape[2] % 8:
        bits = torch.nn.functional.pad(bits, (0, missing))
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return (bits.unflatten(2, (-1, 8)) << places).sum(3, dtype=torch.uint8)


def _unpacked(plane: Tensor, count: int) -> Tensor:
    places = torch.arange(8, dtype=torch.uint8, device=plane.device)
    byte = torch.arange(256, dtype=torch.uint8, device=plane.device)
    eight = ((byte[:, None] >> places) & 1).view(torch.int64)[:, 0]  # the bits of each byte, as bytes of one number
    return eight[plane.int()].view(torch.uint8)[..., :count]
