"""Learned: what the cubes of one name taught, in RAM, brought up to date by what is new."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube
from mnemos.store.values import Filter
from mnemos.text.agent.shelf import rows_of
from mnemos.text.memory import TextMemory

MOST = 16  # names that stay in RAM; the one used longest ago goes first
NOTHING: NDArray[np.int64] = np.zeros(0, np.int64)


class Learned(ABC):
    """What the cubes of some kinds and one name taught. It is a function of their rows: the same in every process."""

    kinds: ClassVar[tuple[str, ...]]  # of the cubes

    def __init__(self, memory: TextMemory, name: str) -> None:
        self._memory = memory
        self._filters = [Filter(kind=kind, session=name, superseded=True) for kind in self.kinds]
        self.clear()

    def clear(self) -> None:
        """Drop everything: erased text must not stay in RAM. The next `refresh` reads all rows."""
        self.ids: set[str] = set()  # of the cubes that were read
        self.keys, self._token = NOTHING, object()
        self.reset()

    def is_fresh(self, token: object | None) -> bool:
        """Tell whether nobody wrote since the `refresh` with this change token."""
        return token is not None and token == self._token

    def stored(self) -> NDArray[np.int64]:
        """Return the keys of the rows that there are, sorted."""
        store = self._memory.store
        return np.sort(np.concatenate([np.asarray(store.keys(filter), np.int64) for filter in self._filters]))

    def refresh(self, token: object | None) -> None:
        """Learn what is new. After an erasure or a revision all is learned anew. O(new), and a look at the keys.

        `token` is the change token of the store from before the transaction that this is called in.
        """
        keys = self.stored()
        if not np.array_equal(keys[: len(self.keys)], self.keys):
            self.clear()
        after = int(self.keys[-1]) if len(self.keys) else 0
        if len(keys) > len(self.keys):
            rows = [row for filter in self._filters for row in rows_of(self._memory, filter, after)]
            self.ids |= {cube.id for _, cube in rows}
            self.learn(rows)
        self.keys, self._token = keys, token

    @abstractmethod
    def reset(self) -> None:
        """Forget what was learned."""

    @abstractmethod
    def learn(self, rows: list[tuple[int, MemCube]]) -> None:
        """Learn from new rows, which come kind by kind, by key."""


T = TypeVar("T", bound=Learned)


class Pool(Generic[T]):
    """What was learned under each name of a space. Safe across threads; what is erased, wherever it is, leaves RAM at once."""

    def __init__(self, memory: TextMemory, make: Callable[[TextMemory, str], T]) -> None:
        self._memory, self._make = memory, make
        self._lock = Lock()
        self._known: OrderedDict[str, T] = OrderedDict()
        memory.store.on_erase(self._on_erase)
        memory.store.on_stale(self._clear)

    @contextmanager
    def use(self, name: str) -> Iterator[T]:
        """Yield what is known under a name, up to date; nobody else changes it, and the store may not be used in the block."""
        store = self._memory.store
        token = store.change_token()
        if token is None:  # inside a transaction, which may be rolled back
            known = self._make(self._memory, name)
            known.refresh(None)
            yield known
            return
        with ExitStack() as held:
            with store.transaction(write=False):
                held.enter_context(self._lock)  # after the store: who has a transaction may ask for a name
                known = self._known.setdefault(name, self._make(self._memory, name))
                self._known.move_to_end(name)
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
                if not known.is_fresh(token):
                    known.refresh(token)
            yield known

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        with self._lock:
            for known in self._known.values():
                if not known.ids.isdisjoint(forms):
                    known.clear()

    def _clear(self) -> None:
        with self._lock:
            for known in self._known.values():
                known.clear()
