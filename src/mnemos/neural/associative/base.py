"""The contract of memories of pairs, and the checks that associative memories share.

N pairs written   M keys asked   K channels of a key   V channels of a value
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from mnemos.errors import InvalidInput


@runtime_checkable
class PairMemory(Protocol):
    """Keeps values under keys and answers a key, which may be damaged, with a value."""

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Keep values (N, V) under keys (N, K), besides what is kept. Raises InvalidInput for what does not fit."""
        ...

    def read(self, keys: Tensor) -> Tensor:
        """Return the values (M, V) of keys (M, K); changes nothing."""
        ...


KINDS: dict[str, type] = {"pair-memory": PairMemory}


def rows(tensor: Tensor, width: int, what: str) -> Tensor:
    """Return rows (N, width). Raises InvalidInput for another shape."""
    if tensor.dim() != 2 or tensor.shape[1] != width:
        raise InvalidInput(f"{what} have the shape {tuple(tensor.shape)}: give (N, {width}).")
    return tensor


def pairs(keys: Tensor, values: Tensor, key: int, value: int) -> None:
    """Check keys and values that are written together. Raises InvalidInput."""
    if len(rows(keys, key, "keys")) != len(rows(values, value, "values")):
        raise InvalidInput(f"there are {len(keys)} keys and {len(values)} values: give one value for each key.")


def signs(tensor: Tensor, what: str) -> Tensor:
    """Return a tensor of -1 and 1. Raises InvalidInput for other numbers."""
    if not bool((tensor.abs() == 1).all()):
        raise InvalidInput(f"{what} have numbers other than -1 and 1: give their signs.")
    return tensor
