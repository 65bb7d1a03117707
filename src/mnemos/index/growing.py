"""Arrays that grow at their end without being copied each time."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

S = TypeVar("S", bound=np.generic)
ROOM = 1.25  # of what is held, kept as room for more


class Growing(Generic[S]):
    """An array with room behind the end of its first axis: appending costs O(new), amortised.

    `array` is a view of what is held, which later appends leave as it is; writing to it writes to this one.
    """

    def __init__(self, array: NDArray[S]) -> None:
        self._held = array
        self._size = len(array)

    @property
    def array(self) -> NDArray[S]:
        """What is held."""
        return self._held[: self._size]

    def extend(self, values: ArrayLike) -> NDArray[S]:
        """Append values and return all."""
        new = np.asarray(values, dtype=self._held.dtype)
        start, self._size = self._size, self._size + len(new)
        if self._size > len(self._held):
            held = np.zeros((int(self._size * ROOM) + 16, *self._held.shape[1:]), dtype=self._held.dtype)
            held[:start] = self._held[:start]
            self._held = held
        self._held[start : self._size] = new
        return self.array
