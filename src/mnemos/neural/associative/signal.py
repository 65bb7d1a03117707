"""How clearly a memory of pairs reads: signal against noise, of any memory that answers keys with values."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mnemos.errors import InvalidInput


def signal_to_noise(read: Callable[[Tensor], Tensor], keys: Tensor, values: Tensor) -> float:
    """Return the signal to noise ratio of reads of `keys` (N, K), whose values are (N, V).

    A read is c v + noise, with one c for all keys by least squares; the ratio is that of the mean squares of both parts, 1 where
    half of what is read is of other pairs. The scale of reads does not matter ("Understanding Transformer from the Perspective of
    Associative Memory", arXiv 2505.19488). Infinite for exact reads, 0 where nothing of the values is read. Costs one read of all
    keys. Raises InvalidInput where reads have another shape than values, or values are 0.
    """
    found, values = read(keys).double(), values.double()
    if found.shape != values.shape or not values.square().sum() > 0:
        raise InvalidInput(
            f"reads are {tuple(found.shape)}, values {tuple(values.shape)}: give keys with values to read."
        )
    scale = (found * values).sum() / values.square().sum()
    noise = (found - scale * values).square().sum()
    signal = scale.square() * values.square().sum()
    return float(signal / noise) if noise > 0 else float("inf") if signal > 0 else 0.0
