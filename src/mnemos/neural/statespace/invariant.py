"""What layers share whose system does not change from token to token: a convolution, and the state before and after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import Mixer


class TimeInvariant(Mixer):
    """A system for each channel, a skip, GELU, and a gated mixing of channels (S4D's block, arXiv 2206.11893)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.skip = nn.Parameter(torch.randn(width))
        self.out = nn.Linear(width, 2 * width)

    def answer(self, y: Tensor, x: Tensor) -> Tensor:
        """Return the output for what the systems say to tokens x, both (B, T, D)."""
        return F.glu(self.out(F.gelu(y.to(x.dtype) + self.skip * x)), -1)


def convolve(u: Tensor, kernel: Tensor) -> Tensor:
    """Return the causal convolution of u (B, T, D) with kernels (D, T) by FFT: O(T log T) a channel."""
    length = u.shape[1]
    size = 1 << (2 * length - 1).bit_length()
    spectrum = torch.fft.rfft(u.transpose(1, 2), n=size) * torch.fft.rfft(kernel, n=size)
    return torch.fft.irfft(spectrum, n=size)[..., :length].transpose(1, 2)


def newest_first(u: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return u (B, T, D) from the last token to the first, zeros behind, and the number of tokens (B,)."""
    if mask is None:
        return u.flip(1), torch.full((len(u),), u.shape[1], device=u.device)
    read = mask.sum(1)
    place = read[:, None] - 1 - torch.arange(u.shape[1], device=u.device)
    turned = u.gather(1, place.clamp_min(0)[..., None].expand_as(u))
    return turned * (place >= 0)[..., None], read
